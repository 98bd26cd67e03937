/** Pictures: sending them with progress, waiting until they are ready, and fetching those that are not for everybody. */
import { readMedia, removeMedia, uploadMedia, type Media } from "./generated";
import { http, onSite } from "./http";

/** A large photo over a slow line takes minutes; the progress shows that it moves. */
const UPLOAD_TIMEOUT = 10 * 60_000;
/** Pauses between questions whether a picture is ready, in milliseconds; the last one repeats. */
const PAUSES = [300, 500, 800, 1500, 3000];
/** After this many questions the meal is better posted: it shows the picture as soon as there is one. */
const MOST_QUESTIONS = 40;

/** Sends the file; `onProgress` hears of each part, from 0 to 1. The picture is usually still `processing`. */
export async function sendPhoto(file: File, onProgress: (part: number) => void, signal: AbortSignal): Promise<Media> {
  const { data } = await uploadMedia({
    body: { file },
    timeout: UPLOAD_TIMEOUT,
    signal,
    onUploadProgress: ({ progress }) => onProgress(progress ?? 0),
  });
  return data;
}

/** The picture when it is no longer `processing`: `ready`, or `failed` with its reason. */
export async function photoWhenReady(photo: Media, signal: AbortSignal): Promise<Media> {
  let current = photo;
  for (let asked = 0; current.state === "processing" && asked < MOST_QUESTIONS; asked += 1) {
    await pause(PAUSES[Math.min(asked, PAUSES.length - 1)] ?? 0, signal);
    const { data } = await readMedia({ path: { id: photo.id }, signal });
    current = data;
  }
  return current;
}

export async function removePhoto(id: string): Promise<void> {
  await removeMedia({ path: { id } });
}

/** The bytes of a picture that needs the token: an `<img>` could not send it. */
export async function photoBytes(url: string, signal: AbortSignal): Promise<Blob> {
  const { data } = await http.get<Blob>(onSite(url), { responseType: "blob", signal });
  return data;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("aborted"));
    });
  });
}
