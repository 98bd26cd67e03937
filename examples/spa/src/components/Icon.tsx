/** Strokes of 24 by 24; decoration, so the words beside them are what is read out. */
const PATHS = {
  heart: "M12 20s-7.5-4.6-9-9.2C1.9 7.3 4 4.5 7 4.5c2 0 3.7 1.1 5 3 1.3-1.9 3-3 5-3 3 0 5.100 2.800 4 6.300C19.500 15.400 12 20 12 20Z",
  comment: "M4 5h16v11H9l-5 4V5Z",
  plus: "M12 5v14M5 12h14",
  camera: "M4 8h3l2-3h6l2 3h3v11H4V8Zm8 2.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z",
  close: "M6 6l12 12M18 6 6 18",
  lock: "M6 11h12v9H6v-9Zm2.5 0V8a3.5 3.5 0 0 1 7 0v3",
} as const;

export function Icon({ name, filled = false }: { name: keyof typeof PATHS; filled?: boolean }) {
  return (
    <svg viewBox="0 0 24 24" className="icon" aria-hidden="true" fill={filled ? "currentColor" : "none"}>
      <path d={PATHS[name]} stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
