/** What the host of this application decides; read once, before the first page. */
export interface Config {
  /** The origin of the MealShare site, without a slash at its end. */
  site: string;
}

/**
 * Reads `config.json` beside the page, so that one build serves any site. It is deliberately not a parameter of the
 * address: a link could then send the passwords of whoever follows it to a site of its author's choice.
 */
export async function loadConfig(): Promise<Config> {
  const answer = await fetch(`${import.meta.env.BASE_URL}config.json`, { cache: "no-cache" });
  const config: unknown = await answer.json();
  if (typeof config !== "object" || config === null || !("site" in config) || typeof config.site !== "string") {
    throw new Error("config.json must say the site: { \"site\": \"http://localhost:6543\" }");
  }
  return { site: new URL(config.site).origin };
}
