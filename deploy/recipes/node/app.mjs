// A program that reads its configuration at its start and again when it is asked to by HTTP.
//
// app.mjs FILE HOST:PORT

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const [file, address] = process.argv.slice(2);

function parse(content) {
  const settings = JSON.parse(content);
  if (typeof settings.greeting !== "string" || !(settings.limit >= 1)) {
    throw new Error("greeting is missing, or limit is no number from 1 on");
  }
  return settings;
}

let settings = parse(await readFile(file, "utf8"));

const answers = {
  "GET /": () => settings.greeting,
  // Answers when the new settings are in use; a refused file leaves those before.
  "POST /reload": async () => {
    settings = parse(await readFile(file, "utf8"));
  },
  // What Rehup asks before it shows a new file to anybody.
  "POST /check": async (request) => {
    parse(await text(request));
  },
};

const server = createServer(async (request, response) => {
  const answer = answers[`${request.method} ${request.url}`];
  if (!answer) return response.writeHead(404).end();
  try {
    response.end(await answer(request));
  } catch (error) {
    console.error(error.message);
    response.writeHead(422).end(error.message);
  }
});

const [host, port] = address.split(":");
server.listen(Number(port), host);
