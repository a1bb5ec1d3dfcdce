"""The program `score` as `python -m jobs`, for where it is not on the path, such as the kernel of a notebook."""

from jobs.cli import main

if __name__ == "__main__":
    main()
