"""`python -m workbench` is the `workbench` command."""

if __name__ == "__main__":
    try:
        from workbench.cli import main
    except KeyboardInterrupt:  # before there was anything to stop in order
        raise SystemExit(130) from None
    main()
