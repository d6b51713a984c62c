/** One judge of addresses, the same as the server's (shared/platform/text/links.py). */
const NEVER = /[\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff\\"<>^`{|}]/u;
const INSIDE = /^\/(?!\/)/u;
const OUTSIDE = /^https:\/\/[^\/?#@:\[\]%]+(?::[0-9]{1,5})?(?:[\/?#]|$)/u;

/** A link of Markdown: its label and its address. */
export const LINK = /\[([^\[\]]{1,300})\]\(([^) \n]{1,2000})\)/u;

/** Where a link with this address leads: "inside", "outside", or null for one that must not be a link. */
export function place(address) {
  if (NEVER.test(address)) return null;
  return INSIDE.test(address) ? "inside" : OUTSIDE.test(address) ? "outside" : null;
}
