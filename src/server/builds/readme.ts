/**
 * A job's README as a part of its page. It is other people's text: each tag of the result is made here, raw HTML
 * never passes, and addresses lead to pages and mail only. Pictures become links, since a page loads nothing from
 * elsewhere.
 */

/** Headings stand below the page's own. */
const SHIFT = 2;
/** Characters; more of it is cut off. */
const LONGEST = 256 * 1024;
/** Mark what looks like a tag until it is known whether it stands in code. */
const OPEN = "\u{E000}";
const CLOSE = "\u{E001}";

/** What begins a quotation or a list's item, and may stand again and again at the beginning of a line. */
const MARKER = /[ \t]*(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])/.source;
/** Nobody writes so many; reading them takes time by the square of their number. */
const TOO_DEEP = new RegExp(`^((?:${MARKER}){100})(?:${MARKER})+`, "gm");

/** HTML of a text in Markdown. Pure. */
export function readmeHtml(markdown: string): string {
  const ids = new Map<string, number>();
  const source = markdown
    .slice(0, LONGEST)
    .replaceAll(/[\u{E000}\u{E001}\0]/gu, "\u{FFFD}")
    .replaceAll(TOO_DEEP, "$1");
  const html = Bun.markdown.render(source, {
    text: (text) => (/^<[!?/a-z][^]*>$/i.test(text) ? `${OPEN}${escape(text)}${CLOSE}` : escape(text)),
    heading: (content, { level }) => heading(content, Math.min(level + SHIFT, 6), ids),
    paragraph: (content) => `<p>${content}</p>\n`,
    blockquote: (content) => `<blockquote>${content}</blockquote>\n`,
    code: (content) => `<pre class="command"><code>${inCode(content)}</code></pre>\n`,
    codespan: (content) => `<code>${inCode(content)}</code>`,
    list: (content, { ordered }) => (ordered ? `<ol>${content}</ol>\n` : `<ul>${content}</ul>\n`),
    listItem: (content, { checked }) =>
      `<li>${checked === undefined ? "" : checked ? "☑ " : "☐ "}${content}</li>`,
    hr: () => "<hr>\n",
    table: (content) => `<div class="scroll" tabindex="0"><table>${content}</table></div>\n`,
    thead: (content) => `<thead>${content}</thead>`,
    tbody: (content) => `<tbody>${content}</tbody>`,
    tr: (content) => `<tr>${content}</tr>`,
    th: (content) => `<th scope="col">${content}</th>`,
    td: (content) => `<td>${content}</td>`,
    html: () => "",
    strong: (content) => `<strong>${content}</strong>`,
    emphasis: (content) => `<em>${content}</em>`,
    strikethrough: (content) => `<del>${content}</del>`,
    link: (content, { href }) => link(href, content),
    image: (alt, { src }) => link(src, `picture: ${withoutTags(alt) || "without a description"}`),
  });
  return html.replaceAll(new RegExp(`${OPEN}[^${CLOSE}]*${CLOSE}`, "gu"), "");
}

function escape(text: string): string {
  return Bun.escapeHTML(text);
}

/** In code a tag is text like any other. */
function inCode(content: string): string {
  return content.replaceAll(OPEN, "").replaceAll(CLOSE, "");
}

function withoutTags(html: string): string {
  return html.replaceAll(/<[^>]*>/g, "");
}

function heading(content: string, level: number, ids: Map<string, number>): string {
  const plain = withoutTags(content.replaceAll(new RegExp(`${OPEN}[^${CLOSE}]*${CLOSE}`, "gu"), ""));
  const words = plain
    .replaceAll(/&[#\w]+;/g, "")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s+/g, "-");
  const count = ids.get(words) ?? 0;
  ids.set(words, count + 1);
  const id = `${words || "section"}${count === 0 ? "" : `-${count}`}`;
  // The prefix keeps a README's headings from taking the names of the page's own parts.
  return `<h${level} id="readme-${id}"><a class="anchor" aria-hidden="true" tabindex="-1" href="#readme-${id}"></a>${content}</h${level}>\n`;
}

/** Addresses of the web, of mail, and of the text itself; relative ones lead nowhere here, and stay words. */
function link(href: string, content: string): string {
  if (href.startsWith("#")) return `<a href="#readme-${escape(href.slice(1))}">${content}</a>`;
  if (!/^(?:https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href)) {
    return `<span title="${escape(href)}">${content}</span>`;
  }
  return `<a href="${escape(href)}" rel="nofollow noreferrer external">${content}</a>`;
}
