import { useEffect, useState, type FormEvent } from "react";
import { Link } from "react-router";

import { getComments, postComment } from "../api/meals";
import { followLink } from "../api/paging";
import { failureOf, type Failure } from "../api/problems";
import { useUser } from "../api/session";
import type { Comment, Meal } from "../api/generated";
import { OncePerBody } from "../forms/once";
import { useWords } from "../words";
import { Avatar } from "./Avatar";
import { RichText } from "./RichText";
import { fieldError, Trouble } from "./Trouble";

/** The comments of a meal, and the form for one more. */
export function Comments({ meal }: { meal: Meal }) {
  const { t } = useWords();
  const user = useUser();
  const [comments, setComments] = useState<readonly Comment[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [loaded, setLoaded] = useState(false);

  async function load(address: string | null): Promise<void> {
    setFailure(null);
    try {
      const page = address === null ? await getComments(meal.id) : await followLink<Comment>(address);
      setComments((known) => (address === null ? page.items : [...known, ...page.items]));
      setNext(page.next);
      setLoaded(true);
    } catch (error) {
      setFailure(failureOf(error));
    }
  }

  useEffect(() => void load(null), [meal.id]);

  return (
    <section id="comments" className="comments">
      <h2>{t("comments")}</h2>
      {comments.map((comment) => (
        <Item key={comment.id} comment={comment} />
      ))}
      {loaded && comments.length === 0 && <p className="soft">{t("no_comments")}</p>}
      {next !== null && (
        <button type="button" className="quiet" onClick={() => void load(next)}>
          {t("more")}
        </button>
      )}
      {failure !== null && <Trouble failure={failure} retry={() => void load(null)} />}
      {meal.comments_closed && <p className="soft">{t("comments_closed")}</p>}
      {user !== null && !meal.comments_closed && (
        <CommentForm mealId={meal.id} onPosted={(comment) => setComments((known) => [...known, comment])} />
      )}
    </section>
  );
}

function Item({ comment }: { comment: Comment }) {
  const { ago } = useWords();
  return (
    <article className={comment.in_reply_to_id === null ? "comment" : "comment reply"}>
      <Avatar user={comment.user} />
      <div>
        <Link to={`/people/${comment.user.username}`} className="name">
          {comment.user.display_name}
        </Link>{" "}
        <time className="soft" dateTime={comment.created_at}>
          {ago(comment.created_at)}
        </time>
        <RichText html={comment.note_html} />
      </div>
    </article>
  );
}

function CommentForm({ mealId, onPosted }: { mealId: string; onPosted: (comment: Comment) => void }) {
  const { t } = useWords();
  const [once] = useState(() => new OncePerBody());
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const wrong = fieldError(failure, "note");

  async function send(event?: FormEvent): Promise<void> {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    setFailure(null);
    try {
      onPosted(await postComment(mealId, note, once.keyFor(note)));
      once.done();
      setNote("");
    } catch (error) {
      setFailure(failureOf(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void send(event)} className="comment-form">
      <label htmlFor="comment">{t("comment_label")}</label>
      <textarea
        id="comment"
        rows={2}
        value={note}
        aria-invalid={wrong !== undefined}
        aria-describedby="comment-wrong"
        onChange={(event) => setNote(event.target.value)}
      />
      <p id="comment-wrong" className="wrong">
        {wrong}
      </p>
      <button type="submit" disabled={busy}>
        {t("comment")}
      </button>
      {failure !== null && wrong === undefined && <Trouble failure={failure} retry={() => void send()} />}
    </form>
  );
}
