"""What people are told of by themselves: found in the ledger, told once, silenced for a while."""
