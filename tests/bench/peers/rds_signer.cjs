// Prints the median nanoseconds of one RDS token by @aws-sdk/rds-signer, without and with a session
// token.

let Signer;
try {
  ({ Signer } = require("@aws-sdk/rds-signer"));
} catch {
  console.log("not installed (npm install @aws-sdk/rds-signer; NODE_PATH)");
  process.exit(1);
}

const [hostname, port, username, region, sessionToken] = process.argv.slice(2);
const keys = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" };
const signers = [keys, { ...keys, sessionToken }].map(
  (credentials) => new Signer({ hostname, port: Number(port), username, region, credentials }),
);

(async () => {
  const turns = [[], []];
  for (let turn = 0; turn < 201; turn++) {
    for (const [index, signer] of signers.entries()) {
      const start = process.hrtime.bigint();
      for (let call = 0; call < 50; call++) await signer.getAuthToken();
      // The first turns warm up.
      if (turn > 39) turns[index].push(Number(process.hrtime.bigint() - start) / 50);
    }
  }
  console.log(turns.map((took) => took.sort((a, b) => a - b)[took.length >> 1]).join(" "));
})();
