import { useId, type ChangeEvent } from "react";

import { Icon } from "../components/Icon";
import { Trouble } from "../components/Trouble";
import { useWords } from "../words";
import type { Draft, PhotoDraft } from "./draft";
import { addPhotos, dropPhoto, upload } from "./uploads";

interface Props {
  draft: Draft;
  photos: readonly PhotoDraft[];
  wrong: string | undefined;
}

/** The photos of a draft: chosen, being sent, described. */
export function PhotoPicker({ draft, photos, wrong }: Props) {
  const { t } = useWords();
  const id = useId();

  function choose(event: ChangeEvent<HTMLInputElement>): void {
    void addPhotos(draft, [...(event.target.files ?? [])]);
    // The same file may be chosen again after it was removed.
    event.target.value = "";
  }

  return (
    <fieldset>
      <legend>{t("photos")}</legend>
      {photos.map((photo) => (
        <Item key={photo.key} draft={draft} photo={photo} />
      ))}
      <p className="wrong">{wrong}</p>
      <input id={id} type="file" accept="image/*" multiple className="unseen" onChange={choose} />
      <label htmlFor={id} className="button quiet">
        <Icon name="camera" /> {t("add_photo")}
      </label>
    </fieldset>
  );
}

function Item({ draft, photo }: { draft: Draft; photo: PhotoDraft }) {
  const { t } = useWords();
  const id = useId();
  const state = {
    sending: t("photo_waiting", { percent: Math.round(photo.progress * 100) }),
    processing: t("photo_processing"),
    slow: t("photo_slow"),
    ready: t("photo_ready"),
    failed: t("photo_failed"),
  }[photo.state];
  return (
    <div className="picked">
      {photo.preview !== null && <img src={photo.preview} alt="" />}
      <div>
        <label htmlFor={id}>{t("describe_photo")}</label>
        <input
          id={id}
          value={photo.description}
          maxLength={1500}
          onChange={(event) => draft.setPhoto(photo.key, { description: event.target.value })}
        />
        <p className="hint" role="status">
          {photo.state === "sending" && <progress max={1} value={photo.progress} aria-label={state} />}
          <span>{state}</span>
        </p>
        {photo.failure !== null && <Trouble failure={photo.failure} retry={() => void upload(draft, photo.key)} />}
      </div>
      <button type="button" className="plain" aria-label={t("remove_photo")} onClick={() => void dropPhoto(draft, photo)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
