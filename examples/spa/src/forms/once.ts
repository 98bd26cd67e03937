/**
 * An `Idempotency-Key` for what is about to be sent: the same for the same thing, however often the button is pressed and
 * the answer is lost, and a new one for anything else.
 */
export class OncePerBody {
  #body = "";
  #key = "";

  keyFor(body: unknown): string {
    const text = JSON.stringify(body);
    if (text !== this.#body) {
      this.#body = text;
      this.#key = crypto.randomUUID();
    }
    return this.#key;
  }

  /** It is done: the same again would be meant as a second one. */
  done(): void {
    this.#body = "";
  }
}
