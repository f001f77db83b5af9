"""What Pinterest does not offer: plans that survive, mirrors, receipts. Loaded when first used."""
