"""Stripe's client for Python as a witness: signs deliveries, and judges ours.

witness.py sign SECRET NOW EVENTS     prints deliveries, one JSON object a line: name, header, body_b64, expect
witness.py authenticate SECRET        reads deliveries of that form, and prints name and verdict of each
"""

import base64
import json
import sys

from stripe import SignatureVerificationError, WebhookSignature


def deliveries(name, body, secret, now):
    def sign(body=body, secret=secret, at=now):
        return WebhookSignature.generate_signature_header(body, secret, at)

    genuine = sign()
    other = sign(secret=secret + "x").split(",")[1]
    timestamp, signature = genuine.split(",")
    yield "genuine", genuine, body, "accept"
    yield "signed_in_the_future", sign(at=now + 60), body, "accept"
    yield "rolled_secret", f"{timestamp},{other},{signature}", body, "accept"
    yield "other_scheme_beside", f"{timestamp},v0=00,{signature}", body, "accept"
    yield "body_longer", genuine, body + " ", "reject"
    yield "body_changed", genuine, body.replace("identity", "idENtity"), "reject"
    yield "timestamp_changed", f"t={now + 1},{signature}", body, "reject"
    yield "too_old", sign(at=now - 601), body, "reject"
    yield "other_secret", sign(secret=secret + "x"), body, "reject"
    yield "other_scheme", genuine.replace("v1=", "v0="), body, "reject"
    yield "signature_cut", genuine[:-2], body, "reject"
    yield "signature_absent", timestamp, body, "reject"


def sign(secret, now, events):
    with open(events, encoding="utf-8") as file:
        events = json.load(file)["events"]
    for name, event in events.items():
        event["data"]["object"]["metadata"]["note"] = "żółć 🦀"
        body = json.dumps(event, indent=4, ensure_ascii=False)
        for kind, header, sent, expect in deliveries(name, body, secret, int(now)):
            body_b64 = base64.b64encode(sent.encode()).decode()
            delivery = {"name": f"{name} {kind}", "header": header, "body_b64": body_b64}
            print(json.dumps({**delivery, "expect": expect}))


def authenticate(secret):
    for line in sys.stdin:
        delivery = json.loads(line)
        body = base64.b64decode(delivery["body_b64"]).decode()
        try:
            # Age is not asked for: it would make the answer depend on the clock.
            WebhookSignature.verify_header(body, delivery["header"], secret, tolerance=None)
            verdict = "accept"
        except SignatureVerificationError:
            verdict = "reject"
        print(json.dumps({"name": delivery["name"], "verdict": verdict}))


{"sign": sign, "authenticate": authenticate}[sys.argv[1]](*sys.argv[2:])
