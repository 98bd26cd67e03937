import { useEffect, useId, useRef, type ReactNode } from "react";

interface Props {
  title: string;
  /** Escape was pressed. */
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialogue; the browser keeps the focus in it and gives it back. */
export function Dialog({ title, onClose, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
