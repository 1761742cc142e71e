"""`python -m pmsi_chain` is `pmsi-chain`."""

from pmsi_chain.cli import main

if __name__ == "__main__":
    main()
