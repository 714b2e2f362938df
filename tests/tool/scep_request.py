#!/usr/bin/env python3
"""Asks for a certificate with PyPI's scepreq: scep_request.py ADDRESS PASSWORD; leaves `client.pem` and `client.key` in the
folder it runs in. Its own command line does not start (it has one flag twice), so this uses what is below it, and mends:

- oscrypto 1.3.0 reads no OpenSSL version whose last number has two digits
- it only knows authorities with RSA keys, and encrypts to no certificate that also signs
"""
import re
import sys

VERSION, WIDER = r"\b(\d\.\d\.\d[a-z]*)\b", r"\b(\d\.\d\.\d+[a-z]*)\b"
search = re.search
re.search = lambda pattern, *rest: search(WIDER if pattern == VERSION else pattern, *rest)
from oscrypto import asymmetric  # noqa: E402, F401

re.search = search
from scepreq.client import Client  # noqa: E402
from scepreq.enums import PKIStatus  # noqa: E402
from scepreq.responses import CACertificates  # noqa: E402
from scepreq.signingrequest import SigningRequest  # noqa: E402

CACertificates.verify = lambda self: None
CACertificates.recipient = CACertificates.signer


def main(address, password):
    usage = {"digital_signature", "key_encipherment"}
    key = SigningRequest.generate_pair(size=2048)
    # RFC 8894, 2.3: the message is signed with the key of the request. Its command line makes two.
    identity, identity_key = SigningRequest.generate_self_signed("somebody", usage, key)
    request, key = SigningRequest.generate_csr("CN=somebody", usage, [], password, key)
    said = Client(address).enrol(csr=request, identity=identity, identity_private_key=identity_key)
    if said.status != PKIStatus.SUCCESS:
        sys.exit(f"refused: {said.fail_info}")
    for name, it in (("client.pem", said.certificates[0]), ("client.key", key)):
        with open(name, "wb") as file:
            file.write(it.to_pem())


main(*sys.argv[1:])
