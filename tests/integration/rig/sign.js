// Prints a token by @aws-sdk/rds-signer, whose parameters stand in another order: sign.js HOST PORT
// USER REGION, the key from AWS_*.
const { Signer } = require("@aws-sdk/rds-signer");

const [hostname, port, username, region] = process.argv.slice(2);
const signer = new Signer({ hostname, port: Number(port), username, region });
signer.getAuthToken().then((token) => console.log(token));
