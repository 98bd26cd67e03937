/** Uploading photos into a draft. */
import { photoWhenReady, removePhoto, sendPhoto } from "../api/photos";
import { failureOf } from "../api/problems";
import type { Media } from "../api/generated";
import type { Draft, PhotoDraft } from "./draft";

/** The files of photos whose upload failed or is on its way, for another try; and how to end it. */
const uploads = new Map<string, { file: File; stop: AbortController }>();

/** Show the photos in the draft at once, and send them one by one. */
export async function addPhotos(draft: Draft, files: readonly File[]): Promise<void> {
  const photos = files.map((file): PhotoDraft => {
    const key = crypto.randomUUID();
    uploads.set(key, { file, stop: new AbortController() });
    const preview = URL.createObjectURL(file);
    return { key, id: null, state: "sending", progress: 0, description: "", preview, failure: null };
  });
  draft.set({ photos: [...draft.value().photos, ...photos] });
  for (const photo of photos) await upload(draft, photo.key);
}

/** Send it (again). */
export async function upload(draft: Draft, key: string): Promise<void> {
  const job = uploads.get(key);
  if (job === undefined) return;
  const { signal } = job.stop;
  draft.setPhoto(key, { state: "sending", progress: 0, failure: null });
  try {
    const sent = await sendPhoto(job.file, (progress) => draft.setPhoto(key, { progress }), signal);
    draft.setPhoto(key, { id: sent.id, progress: 1, state: sent.state });
    uploads.delete(key);
    const done = await photoWhenReady(sent, signal);
    draft.setPhoto(key, { state: stateOf(done) });
  } catch (error) {
    if (!signal.aborted) draft.setPhoto(key, { state: "failed", failure: failureOf(error) });
  }
}

/** Take it out of the draft; a file that is only being uploaded for it is not kept by the site either. */
export async function dropPhoto(draft: Draft, photo: PhotoDraft): Promise<void> {
  uploads.get(photo.key)?.stop.abort();
  uploads.delete(photo.key);
  draft.set({ photos: draft.value().photos.filter((one) => one.key !== photo.key) });
  if (photo.preview?.startsWith("blob:")) URL.revokeObjectURL(photo.preview);
  const attached = draft.base?.meal.media.some((one) => one.id === photo.id) ?? false;
  // One that belongs to the meal goes when the change is saved. If this fails, the site sweeps it after a day.
  if (photo.id !== null && !attached) await removePhoto(photo.id).catch(() => undefined);
}

function stateOf(photo: Media): PhotoDraft["state"] {
  return photo.state === "processing" ? "slow" : photo.state;
}
