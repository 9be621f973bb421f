"""Makes payload_dictionary_1.bin: what zstd knows beforehand of a payload, trained on bodies that nobody ever sent.

    python3 payload_dictionary.py SAMPLES
    zstd -4 --train-fastcover=k=1800,d=8,f=20,accel=1 SAMPLES/* --maxdict=12288 -o payload_dictionary_1.bin

The dictionary that stands here is for good: payloads in every log name it by its number. A better one gets number 2.
"""

import json
import pathlib
import random
import sys

ERRORS = {
    "abandoned": "The user abandoned the verification session.",
    "consent_declined": "The user declined to be verified by Stripe.",
    "country_not_supported": "Stripe doesn't verify users from the provided country.",
    "device_not_supported": "The device isn't supported.",
    "document_expired": "The document is expired.",
    "document_type_not_supported": "The document type isn't one of the session's allowed types.",
    "document_unverified_other": "Stripe couldn't verify the provided document.",
    "email_unverified_other": "The email address could not be verified.",
    "email_verification_declined": "The user declined to verify their email address.",
    "id_number_insufficient_document_data": "The document didn't have enough information to match the ID number.",
    "id_number_mismatch": "The information couldn't be verified against global databases.",
    "id_number_unverified_other": "Stripe couldn't verify the provided ID number.",
    "phone_unverified_other": "The phone number could not be verified.",
    "phone_verification_declined": "The user declined to verify their phone number.",
    "selfie_document_missing_photo": "The document didn't contain a face.",
    "selfie_face_mismatch": "The captured face image didn't match the document face.",
    "selfie_manipulated": "The captured face image was manipulated.",
    "selfie_unverified_other": "Stripe couldn't verify the provided selfie.",
    "under_supported_age": "Stripe doesn't verify users under the age of majority.",
}
TYPES = ["created", "processing", "requires_input", "verified", "canceled", "redacted"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
chance = random.Random(1)


def letters(count):
    return "".join(chance.choices(LETTERS, k=count))


def digits(count):
    return "".join(chance.choices("0123456789abcdef", k=count))


def maybe(value, odds=0.5):
    return value if chance.random() < odds else None


def session(kind, created):
    status = {"created": "requires_input", "redacted": "verified"}.get(kind, kind)
    code = chance.choice(list(ERRORS))
    has_report = kind in ("verified", "redacted") or kind == "requires_input" and chance.random() < 0.8
    redaction = {"redacted": {"status": "redacted"}, "canceled": maybe({"status": "processing"}, 0.3)}.get(kind)
    details = {"email": f"{digits(6)}@example.com", "phone": f"+1{chance.randrange(10**10):010}"}
    outputs = {
        "address": {"city": "", "country": "US", "line1": "", "line2": None, "postal_code": "", "state": ""},
        "dob": {"day": 1, "month": 1, "year": 1990},
        "email": None, "first_name": "", "id_number_type": None, "last_name": "", "phone": None,
        "sex": None, "unparsed_place_of_birth": None, "unparsed_sex": None,
    }
    return {
        "id": "vs_1" + letters(23),
        "object": "identity.verification_session",
        "client_reference_id": maybe("user_" + digits(12)),
        "client_secret": maybe("vs_1" + letters(23) + "_secret_test_" + letters(40), 0.1),
        "created": created,
        "last_error": {"code": code, "reason": ERRORS[code]} if kind == "requires_input" else None,
        "last_verification_report": "vr_1" + letters(23) if has_report else None,
        "livemode": chance.random() < 0.7,
        "metadata": {} if kind == "redacted" else {"user_id": "user_" + digits(12)},
        "options": {"document": {
            "allowed_types": ["driving_license", "id_card", "passport"],
            "require_id_number": False, "require_live_capture": True, "require_matching_selfie": True,
        }} if chance.random() < 0.5 else {"document": {"require_matching_selfie": True}},
        **({"provided_details": maybe(details)} if chance.random() < 0.6 else {}),
        "redaction": redaction,
        "related_customer": maybe("cus_" + letters(14), 0.3),
        "related_customer_account": None,
        **({"related_person": maybe({"account": "acct_1" + letters(15), "person": "person_1" + letters(15)})}
           if chance.random() < 0.4 else {}),
        "status": status,
        "type": chance.choice(["document", "document", "document", "id_number", "verification_flow"]),
        "url": maybe("https://verify.stripe.com/start/live_" + letters(50)) if status == "requires_input" else None,
        **({"verified_outputs": outputs} if chance.random() < 0.1 else {}),
    }


def delivery():
    kind, created = chance.choice(TYPES), 1_760_000_000 + chance.randrange(90_000_000)
    facts = session(kind, created - chance.randrange(300))
    event = {
        "id": "evt_1" + letters(23),
        "object": "event",
        **({"account": "acct_1" + letters(15)} if chance.random() < 0.1 else {}),
        "api_version": chance.choice(["2026-10-28.endive", "2026-10-28.endive", "2026-04-22.dahlia", "2025-09-30.clover"]),
        "created": created,
        "data": {"object": facts},
        "livemode": facts["livemode"],
        "pending_webhooks": chance.choice([0, 1, 1, 1, 2]),
        "request": {"id": maybe("req_" + letters(14)), "idempotency_key": maybe(digits(32))},
        "type": "identity.verification_session." + kind,
    }
    header = f"t={created},v1={digits(64)}"
    return len(header).to_bytes(4, "little") + (header + json.dumps(event, indent=2)).encode()


samples = pathlib.Path(sys.argv[1])
for number in range(2_000):
    (samples / f"{number:04}").write_bytes(delivery())
