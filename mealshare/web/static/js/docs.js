/**
 * Starts Swagger UI on #swagger-ui with the OpenAPI document named by its data-url. Nothing is asked of other sites.
 *
 * Who is signed in with the browser tries things in their own name: what changes something then needs the form token in
 * data-csrf. With a token of the API ("Authorize") it does not, and the cookie does not count.
 */

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const place = document.getElementById("swagger-ui");
const safe = ["GET", "HEAD", "OPTIONS"];

function withFormToken(request) {
  const method = (request.method ?? "GET").toUpperCase();
  const here = new URL(request.url, location.href).origin === location.origin;
  const names = Object.keys(request.headers ?? {}).map((name) => name.toLowerCase());
  if (place.dataset.csrf && here && !safe.includes(method) && !names.includes("authorization")) {
    request.headers = { ...request.headers, "X-CSRF-Token": place.dataset.csrf };
  }
  return request;
}

window.SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  filter: true,
  requestInterceptor: withFormToken,
  validatorUrl: null,
});

// "Authorize" and the locks open a box with an input for each way to sign in. It begins at the first, the bearer token;
// Swagger UI puts the cursor into the last, which on a telephone leaves the first out of sight.
place.addEventListener("click", (event) => {
  if (event.target.closest(".btn.authorize:not(.auth), .authorization__btn")) {
    requestAnimationFrame(() => place.querySelector(".modal-ux input")?.focus());
  }
});
