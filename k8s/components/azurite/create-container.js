// Creates the container, which Azurite does not do by itself, as soon as Azurite answers.
// The signature is Shared Key of Azure Storage's documentation.
const crypto = require("crypto");
const fs = require("fs");
const https = require("https");

const [account, key] = process.env.AZURITE_ACCOUNTS.split(":");
const port = Number(process.env.AZURITE_PORT || 10000);
const ca = fs.readFileSync(process.env.AZURITE_CA);
const container = "vault";

function create() {
  const date = new Date().toUTCString();
  const version = "2023-11-03";
  const text = [
    "PUT", "", "", "", "", "", "", "", "", "", "", "",
    `x-ms-date:${date}`,
    `x-ms-version:${version}`,
    `/${account}/${account}/${container}`,
    "restype:container",
  ].join("\n");
  const signature = crypto
    .createHmac("sha256", Buffer.from(key, "base64"))
    .update(text, "utf8")
    .digest("base64");
  const request = https.request(
    {
      host: "127.0.0.1",
      port,
      method: "PUT",
      path: `/${account}/${container}?restype=container`,
      servername: "rewind-azurite",
      ca,
      headers: {
        "x-ms-date": date,
        "x-ms-version": version,
        "content-length": 0,
        authorization: `SharedKey ${account}:${signature}`,
      },
    },
    (response) => {
      response.resume();
      // 409: it is there already.
      if (response.statusCode === 201 || response.statusCode === 409) return;
      console.error(`the container cannot be created: ${response.statusCode}`);
      process.exitCode = 1;
    },
  );
  request.on("error", (error) => {
    if (error.code === "ECONNREFUSED") return setTimeout(create, 200);
    console.error(`the container cannot be created: ${error.message}`);
    process.exitCode = 1;
  });
  request.end();
}

create();
