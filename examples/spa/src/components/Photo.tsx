import { useEffect, useState } from "react";

import { photoBytes } from "../api/photos";
import type { Media, Visibility } from "../api/generated";
import { useWords } from "../words";

interface Props {
  photo: Media;
  food: string;
  visibility: Visibility;
  /** The large variant, for the meal's own page. */
  large?: boolean;
  /** Whoever looks has to ask for it. */
  covered?: boolean;
}

/** A photo of a meal, in a frame that has its size before it is there. */
export function Photo({ photo, food, visibility, large = false, covered = false }: Props) {
  const { t } = useWords();
  const [open, setOpen] = useState(!covered);
  const address = large ? photo.url : photo.preview_url;
  const source = usePhotoSource(open ? address : null, visibility);
  const ratio = photo.width !== null && photo.height !== null ? `${photo.width} / ${photo.height}` : "4 / 3";
  return (
    <div className="photo" style={{ aspectRatio: ratio }}>
      {!open && (
        <button type="button" className="photo-cover" onClick={() => setOpen(true)}>
          {t("sensitive")} · {t("show")}
        </button>
      )}
      {open && photo.state === "processing" && <span className="photo-wait">{t("photo_processing")}</span>}
      {open && photo.state === "failed" && <span className="photo-wait">{t("photo_failed")}</span>}
      {source !== null && (
        // CORS mode: a site on another domain lets no other page embed its pictures, but lets those read that it knows.
        <img src={source} alt={photo.description || t("photo_of", { food })} loading="lazy" crossOrigin="anonymous" />
      )}
    </div>
  );
}

/** What goes into `src`. An `<img>` sends no token, so a picture that is not for everybody is fetched with it first. */
function usePhotoSource(address: string | null, visibility: Visibility): string | null {
  const forEverybody = visibility === "public" || visibility === "unlisted";
  const [fetched, setFetched] = useState<string | null>(null);
  useEffect(() => {
    if (address === null || forEverybody) return;
    const stop = new AbortController();
    let made: string | null = null;
    photoBytes(address, stop.signal).then(
      (bytes) => {
        if (stop.signal.aborted) return;
        made = URL.createObjectURL(bytes);
        setFetched(made);
      },
      // Its frame stays empty, with the description that it has.
      () => undefined,
    );
    return () => {
      stop.abort();
      setFetched(null);
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [address, forEverybody]);
  return forEverybody ? address : fetched;
}
