// Checks the receipts of a log of Avow with Sigstore's client for Node, which shares no line with Avow's.
//
// verify.js BASE VKEY
//
// BASE is the URL of a server, or a directory with files under the same paths. Exits with 0 if everything holds, 1 if
// something does not, and 2 if it was not called well.
"use strict";

const fs = require("node:fs/promises");
const path = require("node:path");
const { PublicKeyDetails } = require("@sigstore/protobuf-specs");
const { toTrustMaterial } = require("@sigstore/verify");
// Sigstore's own bundles hold checkpoint and proof in JSON of their own; what checks them is not exported by name.
const { verifyTLogInclusion } = require("@sigstore/verify/dist/tlog");
const { verifyCheckpoint } = require("@sigstore/verify/dist/tlog/checkpoint");

const BUNDLE_WIDTH = 256;
/** What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo. */
const ED25519_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

function refuse(reason) {
  throw new Error(reason);
}

/** Returns what Sigstore knows a log by: its name, the key and the key's id. */
function authority(vkey) {
  const parts = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? refuse("the key is no vkey");
  const [, name, id, encoded] = parts;
  const key = Buffer.from(encoded, "base64");
  if (key.length !== 33 || key[0] !== 1) {
    refuse("the key is no Ed25519 key");
  }
  const publicKey = {
    rawBytes: Buffer.concat([ED25519_PREFIX, key.subarray(1)]),
    keyDetails: PublicKeyDetails.PKIX_ED25519,
  };
  const log = { baseUrl: name, publicKey, checkpointKeyId: { keyId: Buffer.from(id, "hex") } };
  const none = { certificateAuthorities: [], timestampAuthorities: [], ctlogs: [] };
  const [trusted] = toTrustMaterial({ ...none, tlogs: [log] }, {}).tlogs;
  return trusted;
}

function withEnvelope(envelope) {
  return { inclusionProof: { checkpoint: { envelope } } };
}

function readReceipt(text) {
  const [lines, ...rest] = text.split("\n\n");
  const [format, ...fields] = lines.split("\n");
  if (fields[0]?.startsWith("extra ")) {
    fields.shift();
  }
  const [index, ...hashes] = fields;
  if (format !== "c2sp.org/tlog-proof@v1" || !/^index \d+$/.test(index) || rest.length === 0) {
    refuse("no tlog-proof");
  }
  return {
    index: index.slice("index ".length),
    hashes: hashes.map((hash) => Buffer.from(hash, "base64")),
    envelope: rest.join("\n\n"),
  };
}

function checkReceipt(text, index, leaf, log) {
  const receipt = readReceipt(text);
  if (receipt.index !== String(index)) {
    refuse(`that of entry ${receipt.index}`);
  }
  const { inclusionProof } = withEnvelope(receipt.envelope);
  const { hashes } = receipt;
  verifyTLogInclusion(
    {
      logId: { keyId: log.logID },
      canonicalizedBody: leaf,
      inclusionProof: { ...inclusionProof, logIndex: receipt.index, hashes },
    },
    [log],
  );
}

/** Returns the paths of the bundles, each with how many entries it has. */
function* bundles(size) {
  for (let start = 0; start < size; start += BUNDLE_WIDTH) {
    const width = Math.min(BUNDLE_WIDTH, size - start);
    const groups = String(start / BUNDLE_WIDTH).split(/(?=(?:\d{3})+$)/);
    groups[0] = groups[0].padStart(3, "0");
    const place = groups.map((group, at) => (at < groups.length - 1 ? "x" : "") + group).join("/");
    yield [`tile/entries/${place}${width < BUNDLE_WIDTH ? `.p/${width}` : ""}`, width];
  }
}

function* leavesOf(bundle, width) {
  let at = 0;
  for (let entry = 0; entry < width; entry += 1) {
    const end = at + 2 + bundle.readUInt16BE(at);
    yield bundle.subarray(at + 2, end);
    at = end;
  }
  if (at !== bundle.length) {
    refuse("an entry bundle has another length than its entries");
  }
}

function fetcher(base) {
  if (!base.startsWith("http")) {
    return (file) => fs.readFile(path.join(base, file));
  }
  return async (file) => {
    const response = await fetch(`${base.replace(/\/$/, "")}/${file}`);
    return response.ok
      ? Buffer.from(await response.arrayBuffer())
      : refuse(`${file} is answered ${response.status}`);
  };
}

async function verify(base, vkey) {
  const log = authority(vkey);
  const read = fetcher(base);
  const envelope = (await read("checkpoint")).toString();
  const { origin, logSize } = verifyCheckpoint(withEnvelope(envelope), [log]);
  if (origin !== log.baseURL) {
    refuse(`the checkpoint is of the log ${origin}`);
  }
  let index = 0;
  for (const [file, width] of bundles(Number(logSize))) {
    for (const leaf of leavesOf(await read(file), width)) {
      const receipt = await read(`v1/log/entries/${index}/proof`);
      try {
        checkReceipt(receipt.toString(), index, leaf, log);
      } catch (error) {
        refuse(`the receipt of entry ${index}: ${error.message}`);
      }
      index += 1;
    }
  }
  return index;
}

const [base, vkey, ...rest] = process.argv.slice(2);
if (vkey === undefined || rest.length > 0) {
  console.error("usage: verify.js BASE VKEY");
  process.exitCode = 2;
} else {
  verify(base, vkey).then(
    (size) => console.log(`accepted: ${size} entries`),
    (error) => {
      console.error(`refused: ${error.message}`);
      process.exitCode = 1;
    },
  );
}
