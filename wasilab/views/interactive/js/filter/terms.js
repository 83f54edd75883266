// The text of a filter, made from examples: one more term, one term less. The text stays the truth; Python evaluates it.

/**
 * @typedef {[string, string, string]} Example  what it is a value of, the value for people, its term of a filter
 * @typedef {Object} Facet  made by views/interactive/choices.py
 * @property {string} name @property {[string, string, number][]} values  for people, its term, how many calls
 * @property {number} more  how many further values there are
 */

/**
 * The terms at the top of an expression that must all hold; null where it is not a plain list of terms.
 * @param {string} expression @returns {string[] | null}
 */
export function parts(expression) {
  /** @type {string[]} */
  const found = [];
  let depth = 0, quote = "", part = "";
  for (let i = 0; i < expression.length; i++) {
    const char = expression[i];
    if (quote) {
      part += char;
      if (char === "\\") part += expression[++i] ?? "";
      else if (char === quote) quote = "";
      continue;
    }
    if (char === '"' || char === "'") quote = char;
    if (char === "(") depth += 1;
    if (char === ")") depth -= 1;
    if (depth < 0) return null;
    if (/\s/.test(char) && depth === 0) {
      if (part) found.push(part);
      part = "";
    } else part += char;
  }
  if (depth || quote) return null;
  if (part) found.push(part);
  /** @type {string[]} */
  const terms = [];
  for (const [at, word] of found.entries()) {
    if (word === "or" || word === "||") return null;
    if (word === "and" || word === "&&" || word === "not" || word === "!") continue;
    terms.push(/^(not|!)$/.test(found[at - 1] ?? "") ? `not ${word}` : word);
  }
  return terms;
}

/**
 * An expression that also asks for `term`, or for anything else. What says the same or its contrary already is replaced.
 * @param {string} expression @param {string} term @param {boolean} [exclude]
 */
export function narrowed(expression, term, exclude = false) {
  const wanted = exclude ? `not ${term}` : term, terms = parts(expression.trim());
  if (terms === null) return `(${expression.trim()}) ${wanted}`;
  return [...terms.filter((each) => each !== term && each !== `not ${term}`), wanted].join(" ");
}

/** An expression without a term, wanted or excluded. @param {string} expression @param {string} term */
export function without(expression, term) {
  const terms = parts(expression.trim());
  return terms === null ? expression : terms.filter((each) => each !== term && each !== `not ${term}`).join(" ");
}

/**
 * What an expression says of a term: 1 only this, -1 not this, 0 nothing.
 * @param {string} expression @param {string} term @returns {number}
 */
export function stance(expression, term) {
  const terms = parts(expression.trim()) ?? [];
  return terms.includes(term) ? 1 : terms.includes(`not ${term}`) ? -1 : 0;
}
