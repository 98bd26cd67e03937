import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router/dom";

import { connect } from "./api/http";
import { loadConfig } from "./config";
import "./styles/base.css";
import "./styles/forms.css";
import "./styles/meals.css";

const element = document.getElementById("app");
if (element === null) throw new Error("index.html has no #app");

try {
  const config = await loadConfig();
  connect(config.site);
  // After `connect`: making the router loads the first page.
  const { router } = await import("./router");
  createRoot(element).render(
    <StrictMode>
      <RouterProvider router={router} />
    </StrictMode>,
  );
} catch (error) {
  // For whoever installs it: without its configuration the application knows no site, and no language to say it in.
  element.textContent = error instanceof Error ? error.message : String(error);
}
