"""Where jobs are kept: the contract and its implementations."""
