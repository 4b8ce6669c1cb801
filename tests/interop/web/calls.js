// Makes the calls that a test asks for, in Node and in a browser alike.
import { fromJson, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { CouponService, TomorrowService } from "generated/coupon/v1/coupon_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "generated/google/rpc/error_details_pb.js";
import { Health } from "generated/grpc/health/v1/health_pb.js";

const SERVICES = Object.fromEntries(
  [CouponService, TomorrowService, Health].map((service) => [service.typeName, service]),
);
const DETAILS = [ErrorInfoSchema, BadRequestSchema, RetryInfoSchema];

// Returns what answers commands, given what makes a transport from a command's
// `transport`. Transports are kept, so that calls share connections as in an application.
// An outcome has its command's number, so that a late one is not taken for another's.
export function performer(makeTransport) {
  const transports = new Map();
  return async function perform(command) {
    const { number } = command;
    const key = JSON.stringify(command.transport);
    if (!transports.has(key)) {
      transports.set(key, makeTransport(command.transport));
    }
    try {
      return { number, answer: await call(transports.get(key), command) };
    } catch (error) {
      return { number, error: described(error) };
    }
  };
}

async function call(transport, { service, rpc, fields, authorization, timeoutMs }) {
  const method = SERVICES[service].methods.find((each) => each.name === rpc);
  const client = createClient(SERVICES[service], transport);
  const headers = authorization === "" ? {} : { authorization };
  const request = fromJson(method.input, fields);
  const answer = await client[method.localName](request, { headers, timeoutMs });
  return toJson(method.output, answer);
}

// An error as an application reads it: the code, and the details that it looks for.
function described(error) {
  if (!(error instanceof ConnectError)) {
    return { code: "no ConnectError", message: String(error?.stack ?? error), details: [] };
  }
  const details = DETAILS.flatMap((schema) =>
    error.findDetails(schema).map((detail) => [schema.typeName, toJson(schema, detail)]),
  );
  return { code: snakeCase(Code[error.code]), message: error.rawMessage, details };
}

function snakeCase(name) {
  return name.replace(/(?!^)([A-Z])/g, "_$1").toLowerCase();
}
