interface Props {
  user: { username: string; display_name: string; avatar_url: string | null };
  large?: boolean;
}

/** Somebody's picture, or the first letter of their name. The name stands beside it, so this is decoration. */
export function Avatar({ user, large = false }: Props) {
  const className = large ? "avatar avatar-large" : "avatar";
  if (user.avatar_url !== null) return <img src={user.avatar_url} alt="" className={className} crossOrigin="anonymous" />;
  const [first] = user.display_name || user.username;
  return (
    <span aria-hidden="true" className={className}>
      {first?.toUpperCase()}
    </span>
  );
}
