"""``completion``: print the script that completes words in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pinterest_audiences.cli.app import make_app
from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.options import DEFAULT_OPTIONS, CommonOptions

__all__ = ["completion"]


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL")],
    /,
    *,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Print the script that completes commands, options and files in a shell.

    In bash: eval "$(pinterest-audiences completion bash)". In zsh, after compinit: source
    <(pinterest-audiences completion zsh). In fish: pinterest-audiences completion fish | source.

    Args:
        shell: The shell.
        common: Common options.
        context: Context of the command.
    """
    script = make_app().generate_completion(shell=shell).rstrip()
    if shell == "zsh":  # which otherwise loads it from a folder, by its first line
        script += "\n\ncompdef _cyclopts_pinterest-audiences pinterest-audiences"
    context.out.text(script)
