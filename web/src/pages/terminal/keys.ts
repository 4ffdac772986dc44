/** Text as the keys that type it: pure. */

const NAMED: Readonly<Record<string, number>> = { '\n': 0xff0d, '\r': 0xff0d, '\t': 0xff09, '\b': 0xff08, '\u001b': 0xff1b }

/** The X11 key symbols of a text. Source: X Window System Protocol, appendix A; its rule for Unicode. */
export function keysOf(text: string): number[] {
  return [...text.replaceAll('\r\n', '\n')].map((letter) => {
    const code = letter.codePointAt(0) ?? 0
    const isLatin = (code >= 0x20 && code <= 0x7e) || (code >= 0xa0 && code <= 0xff)
    return NAMED[letter] ?? (isLatin ? code : 0x01000000 + code)
  })
}
