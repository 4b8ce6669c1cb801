// Reads commands from stdin and writes what came of them to stdout, a line of JSON each.
import { createInterface } from "node:readline";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { performer } from "./calls.js";

const compressions = { gzip: node.compressionGzip };

function makeTransport({ library, protocol, compress, ...options }) {
  if (library === "connect-web") {
    return protocol === "Connect"
      ? web.createConnectTransport(options)
      : web.createGrpcWebTransport(options);
  }
  if (compress !== undefined) {
    options.sendCompression = compressions[compress];
    options.compressMinBytes = 0;
  }
  switch (protocol) {
    case "Connect":
      return node.createConnectTransport(options);
    case "gRPC-Web":
      return node.createGrpcWebTransport(options);
    default:
      delete options.httpVersion; // it is always HTTP/2
      return node.createGrpcTransport(options);
  }
}

const perform = performer(makeTransport);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await perform(JSON.parse(line)))}\n`);
}
process.exit(0); // connections that are kept open would keep the process
