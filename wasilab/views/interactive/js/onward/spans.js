// The calls that notes are on, as the model keeps them: "12" for one call, "3-9" for a range. Draws nothing.

/** @typedef {{key: string, first: number, last: number, text: string}} Note rows of the trace */

/** @param {number} first @param {number} last @returns {string} the key of a note */
export function keyOf(first, last) {
  const [low, high] = first <= last ? [first, last] : [last, first];
  return low === high ? String(low) : `${low}-${high}`;
}

/** @param {Record<string, string>} notes @returns {Note[]} in the order of their calls */
export function listed(notes) {
  const found = [];
  for (const [key, text] of Object.entries(notes)) {
    const parts = /^(\d+)(?:-(\d+))?$/.exec(key);
    if (parts) found.push({ key, first: Number(parts[1]), last: Number(parts[2] ?? parts[1]), text });
  }
  return found.sort((a, b) => a.first - b.first || a.last - b.last);
}

/** @param {Record<string, string>} notes @param {string} key @param {string} text "" removes it @returns {Record<string, string>} */
export function changed(notes, key, text) {
  const next = { ...notes };
  if (text.trim()) next[key] = text.trim();
  else delete next[key];
  return next;
}

/**
 * Parses the user's text for calls: "12", "3-9", "3 to 9", with the numbers that the views show.
 * @param {string} typed @param {number} dropped calls before the first one held @param {number} calls that the trace holds
 * @returns {{first: number, last: number} | string} rows, or what is wrong
 */
export function typedSpan(typed, dropped, calls) {
  const parts = /^\s*#?(\d{1,15})(?:\s*(?:-|–|to|\.\.)\s*#?(\d{1,15}))?\s*$/.exec(typed.replaceAll(",", ""));
  if (!parts) return `"${typed}" names no calls: write 12, or 3-9`;
  const first = Number(parts[1]) - dropped, last = Number(parts[2] ?? parts[1]) - dropped;
  if (Math.min(first, last) < 0 || Math.max(first, last) >= calls) return calls ? `there is no call ${Math.min(first, last) < 0 ? Math.min(first, last) + dropped : Math.max(first, last) + dropped}: they are ${dropped} to ${dropped + calls - 1}` : "there is no call yet";
  return { first: Math.min(first, last), last: Math.max(first, last) };
}
