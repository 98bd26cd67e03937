/** People, and following them. */
import { followPerson, showPerson, unfollowPerson, type Person, type Relation } from "./generated";

export async function getPerson(username: string): Promise<Person> {
  const { data } = await showPerson({ path: { username } });
  return data;
}

/** Follow, or ask to where somebody has to agree; the answer says which of the two it came to. */
export async function follow(username: string): Promise<Relation> {
  const { data } = await followPerson({ path: { username } });
  return data;
}

export async function unfollow(username: string): Promise<void> {
  await unfollowPerson({ path: { username } });
}
