# SPDX-License-Identifier: BSD-3-Clause
"""Digest authentication (RFC 2617 without qop), as a phone does it."""

import hashlib
import re


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def credentials(challenge, method, uri, user, password):
    """The Authorization header that answers a 401."""
    realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge).group(1) for name in ("realm", "nonce"))
    response = _md5(f"{_md5(f'{user}:{realm}:{password}')}:{nonce}:{_md5(f'{method}:{uri}')}")
    return (f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}"')
