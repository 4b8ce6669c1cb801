// A page that asks where it was served from for commands, performs them, and reports.
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { performer } from "./calls.js";

const perform = performer(({ protocol, library: _, ...options }) =>
  protocol === "Connect" ? createConnectTransport(options) : createGrpcWebTransport(options),
);

for (;;) {
  const next = await fetch("/next");
  if (next.status === 200) {
    const outcome = await perform(await next.json());
    await fetch("/done", { method: "POST", body: JSON.stringify(outcome) });
  }
}
