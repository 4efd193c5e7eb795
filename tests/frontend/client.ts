/** A client of the API whose every path, body and answer is typed by the API's OpenAPI document. */

import createClient, { type Client, type Middleware } from "openapi-fetch";

import type { components, paths } from "./schema.js";

/** What the API answers instead, when it refuses a request: problem+json (RFC 9457). */
export type Problem = components["schemas"]["Problem"];

export interface Options {
  baseUrl: string;
  /** The token of a session. Without one, the browser's cookie is used, and the header against forged requests is sent. */
  token?: string;
  fetch?: (request: Request) => Promise<Response>;
  /** How often a request is sent at most. */
  attempts?: number;
}

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);
/** The API, or what is before it, cannot answer now: it did nothing, or does it once under the key. */
const TEMPORARY = new Set([429, 502, 503, 504]);

/** Return a client that sends a request again under the same Idempotency-Key when its answer is lost. */
export function createMoneyFlow({ baseUrl, token, fetch = globalThis.fetch, attempts = 4 }: Options): Client<paths> {
  const headers: Middleware = {
    onRequest({ request }) {
      if (token !== undefined) {
        request.headers.set("Authorization", `Bearer ${token}`);
      } else if (UNSAFE.has(request.method)) {
        request.headers.set("X-CSRF-Protection", "1");
      }
      if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
        request.headers.set("Idempotency-Key", crypto.randomUUID());
      }
    },
  };
  const client = createClient<paths>({
    baseUrl,
    credentials: "include",
    fetch: (request) => repeated(request, fetch, attempts),
  });
  client.use(headers);
  return client;
}

async function repeated(request: Request, fetch: (request: Request) => Promise<Response>, attempts: number): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= attempts || request.method === "PATCH";
    try {
      const response = await fetch(request.clone());
      if (isLast || !TEMPORARY.has(response.status)) {
        return response;
      }
      await response.body?.cancel();
      await seconds(Number(response.headers.get("Retry-After") ?? attempt));
    } catch (error) {
      if (isLast || request.signal.aborted) {
        throw error;
      }
      await seconds(attempt);
    }
  }
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
