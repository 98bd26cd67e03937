import { defineConfig } from "@hey-api/openapi-ts";

/**
 * The client is made from the document that a site publishes as /openapi.json, of which the repository has a copy. From
 * another site's: `npm run generate -- -i http://localhost:6543/openapi.json`.
 */
export default defineConfig({
  input: "../../docs/openapi.json",
  output: "src/api/generated",
  plugins: [
    "@hey-api/typescript",
    // `auth: false`: the request interceptor in src/api/http.ts adds the token, because it may have to wait for one.
    { name: "@hey-api/sdk", auth: false },
    // An answer of 4xx or 5xx is an exception; the address of the site is known only when the application starts.
    { name: "@hey-api/client-axios", throwOnError: true, baseUrl: false },
  ],
});
