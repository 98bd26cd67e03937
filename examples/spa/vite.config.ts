import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/**
 * The tokens live in the memory of the page, so no foreign script may ever run in it.  `connect-src` and `img-src` are
 * wide because one build serves every site; who hosts it for one site should name that site in a real header.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: http: https:",
  "connect-src 'self' http: https:",
  "form-action 'none'",
  "base-uri 'none'",
].join("; ");

/** Only in a build: the development server adds scripts of its own to the page. */
const contentSecurityPolicy: Plugin = {
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
};

// The port is one of those that the site's development.ini lets in; another one would be another origin.
const server = { host: "localhost", port: 5173, strictPort: true };

export default defineConfig({
  plugins: [react(), contentSecurityPolicy],
  server,
  preview: server,
  // Nothing inline: the policy above refuses data: addresses.
  build: { target: "es2023", assetsInlineLimit: 0 },
});
