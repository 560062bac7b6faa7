"""The gateway, which waits for callers who take their time for so many seconds:
`python impatient_gateway.py SECONDS`, in the gateway's environment.
"""

import sys

from perennial_gateway import __main__, slow, web

if __name__ == "__main__":
    slow.HEAD_SECONDS = slow.READ_SECONDS = web.BODY_SECONDS = float(sys.argv[1])
    __main__.main()
