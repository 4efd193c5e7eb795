/** What a frontend does, against the running API: `API_URL`, `EMAIL` and `PASSWORD` are in the environment. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createMoneyFlow, type Options } from "./client.js";

const { API_URL = "", EMAIL = "", PASSWORD = "" } = process.env;

async function signedIn(options: Partial<Options> = {}) {
  const stranger = createMoneyFlow({ baseUrl: API_URL });
  const { data, error } = await stranger.POST("/v1/sessions", {
    body: { email: EMAIL, password: PASSWORD, transport: "bearer" },
  });
  assert.equal(error, undefined);
  assert.ok(data && "token" in data && data.token);
  return createMoneyFlow({ baseUrl: API_URL, token: data.token, ...options });
}

test("a person signs in and reads the own profile", async () => {
  const api = await signedIn();

  const { data: me } = await api.GET("/v1/users/me");

  assert.equal(me?.email, EMAIL);
});

test("a wrong password is a problem that says what to do", async () => {
  const stranger = createMoneyFlow({ baseUrl: API_URL });

  const { error, response } = await stranger.POST("/v1/sessions", { body: { email: EMAIL, password: "not this one", transport: "bearer" } });

  assert.equal(response.status, 401);
  assert.equal(error?.status, 401);
  assert.ok(error?.detail);
});

test("a transaction is kept in a category, listed by pages and changed under its ETag", async () => {
  const api = await signedIn();
  const { data: category } = await api.POST("/v1/categories", { body: { kind: "expense", name: "Bread", color: "#aa5500" } });
  assert.ok(category);

  const bread = { kind: "expense", currency: "EUR", date: "2026-02-28", category_id: category.id } as const;
  const made = await Promise.all(
    ["1.10", "2.20", "3.30"].map((amount) => api.POST("/v1/transactions", { body: { ...bread, amount } })),
  );
  assert.deepEqual(made.map(({ response }) => response.status), [201, 201, 201]);

  const amounts: string[] = [];
  let cursor: string | undefined;
  do {
    const { data: page } = await api.GET("/v1/transactions", {
      params: { query: { limit: 2, category: category.id, ...(cursor === undefined ? {} : { cursor }) } },
    });
    assert.ok(page);
    amounts.push(...page.items.map((one) => one.amount));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  assert.deepEqual(amounts.toSorted(), ["1.10", "2.20", "3.30"]);

  const path = { category_id: category.id };
  const { response: read } = await api.GET("/v1/categories/{category_id}", { params: { path } });
  const header = { "If-Match": read.headers.get("ETag") ?? "" };
  const changed = await api.PATCH("/v1/categories/{category_id}", { params: { path, header }, body: { name: "Bakery" } });
  const late = await api.PATCH("/v1/categories/{category_id}", { params: { path, header }, body: { name: "Butcher" } });
  assert.equal(changed.data?.name, "Bakery");
  assert.equal(late.error?.status, 412);
});

test("a request whose answer is lost is sent again and done once", async () => {
  let lost = 0;
  const api = await signedIn({
    fetch: async (request) => {
      const response = await fetch(request);
      if (request.method === "POST" && lost++ === 0) {
        throw new TypeError("the connection was lost");
      }
      return response;
    },
  });

  const { data: made, response } = await api.POST("/v1/transactions", {
    body: { kind: "income", amount: "7.77", currency: "EUR", date: "2026-02-27" },
  });
  const { data: page } = await api.GET("/v1/transactions", { params: { query: { min: "7.77", max: "7.77" } } });

  assert.equal(response.status, 201);
  assert.equal(lost, 2);
  assert.deepEqual(page?.items.map((one) => one.id), [made?.id]);
});

test("a statement is imported, and exported to a file", async () => {
  const api = await signedIn();
  const statement = "Date,Amount,Currency,Description\n2026-03-01,-4.50,EUR,rye bread\n2026-03-01,-4.50,EUR,rye bread\n2026-03-32,1.00,EUR,no day\n";

  const { data: accepted } = await api.POST("/v1/imports", {
    body: { file: statement },
    bodySerializer: ({ file }) => {
      const form = new FormData();
      form.append("file", new Blob([file]), "march.csv");
      return form;
    },
  });
  assert.ok(accepted && "job_id" in accepted);
  await api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: accepted.job_id }, query: { wait: 20 } } });
  const { data: imported } = await api.GET("/v1/imports/{import_id}", { params: { path: { import_id: accepted.id } } });
  assert.deepEqual([imported?.rows_added, imported?.refused.map(({ line }) => line)], [2, [4]]);

  const { data: asked } = await api.POST("/v1/exports", { body: { from: "2026-03-01", to: "2026-03-31", format: "csv" } });
  assert.ok(asked);
  await api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: asked.job_id }, query: { wait: 20 } } });
  const { data: exported } = await api.GET("/v1/exports/{export_id}", { params: { path: { export_id: asked.id } } });
  const file_id = exported?.file_url?.split("/").at(-1) ?? "";
  const { data: content } = await api.GET("/v1/files/{file_id}", { params: { path: { file_id } }, parseAs: "text" });
  assert.equal(String(content).match(/rye bread/g)?.length, 2);
});
