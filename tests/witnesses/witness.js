// Stripe's client for Node as a witness: signs deliveries, and judges ours.
//
// witness.js sign SECRET NOW EVENTS     prints deliveries, one JSON object a line: name, header, body_b64, expect
// witness.js authenticate SECRET        reads deliveries of that form, and prints name and verdict of each
"use strict";

const fs = require("node:fs");
const Stripe = require("stripe");

const { webhooks } = new Stripe("sk_test_unused");

function deliveries(body, secret, now) {
  const sign = (changes) =>
    webhooks.generateTestHeaderString({ payload: body, secret, timestamp: now, ...changes });
  const genuine = sign({});
  const other = sign({ secret: `${secret}x` }).split(",")[1];
  const [timestamp, signature] = genuine.split(",");
  return [
    ["genuine", genuine, body, "accept"],
    ["signed_in_the_future", sign({ timestamp: now + 60 }), body, "accept"],
    ["rolled_secret", `${timestamp},${other},${signature}`, body, "accept"],
    ["other_scheme_beside", `${timestamp},v0=00,${signature}`, body, "accept"],
    ["body_longer", genuine, `${body} `, "reject"],
    ["body_changed", genuine, body.replaceAll("identity", "idENtity"), "reject"],
    ["timestamp_changed", `t=${now + 1},${signature}`, body, "reject"],
    ["too_old", sign({ timestamp: now - 601 }), body, "reject"],
    ["other_secret", sign({ secret: `${secret}x` }), body, "reject"],
    ["other_scheme", genuine.replace("v1=", "v0="), body, "reject"],
    ["signature_cut", genuine.slice(0, -2), body, "reject"],
    ["signature_absent", timestamp, body, "reject"],
  ];
}

function sign(secret, now, path) {
  const { events } = JSON.parse(fs.readFileSync(path, "utf8"));
  for (const [name, event] of Object.entries(events)) {
    event.data.object.metadata.note = "żółć 🦀";
    for (const [kind, header, body, expect] of deliveries(JSON.stringify(event), secret, Number(now))) {
      const body_b64 = Buffer.from(body).toString("base64");
      console.log(JSON.stringify({ name: `${name} ${kind}`, header, body_b64, expect }));
    }
  }
}

function authenticate(secret) {
  for (const line of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
    const { name, header, body_b64 } = JSON.parse(line);
    let verdict = "accept";
    try {
      // A tolerance of 0 means "any age" here: the answer must not depend on the clock.
      webhooks.signature.verifyHeader(Buffer.from(body_b64, "base64"), header, secret, 0);
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw error;
      verdict = "reject";
    }
    console.log(JSON.stringify({ name, verdict }));
  }
}

const [command, ...args] = process.argv.slice(2);
({ sign, authenticate })[command](...args);
