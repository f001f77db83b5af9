"""The methods of both clients, by what they are about: the awaited and the blocking form."""
