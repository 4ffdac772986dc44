// @vitest-environment happy-dom
import { cursorCharLeft, cursorLineEnd, deleteCharBackward, deleteCharForward, deleteToLineEnd, insertNewlineAndIndent, moveLineDown, undo } from '@codemirror/commands'
import { EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import type { Command } from '@codemirror/view'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { apply, parse, read, write } from '../../draft'
import { openEditor } from './editor'
import type { Editor } from './editor'
import { lineEnds } from './lineEnds'

const TEXT = 'spec:\r\n  network:\r\n    public: tru\r\n  os: {}\r\n'
const END = TEXT.indexOf('tru') + 3

let text: string
let editor: Editor
let view: EditorView
beforeEach(() => open(TEXT))
afterEach(() => editor.destroy())

function open(begin: string) {
  const host = document.createElement('div')
  document.body.append(host)
  const root = host.attachShadow({ mode: 'open' })
  text = begin
  editor = openEditor(root, { text, label: 'x', become: (now) => (text = now), schema: () => null })
  view = EditorView.findFromDOM(root.querySelector<HTMLElement>('.cm-editor') as HTMLElement) as EditorView
}

function select(anchor: number, head = anchor): number {
  view.dispatch({ selection: { anchor, head } })
  return view.state.selection.main.head
}
function type(words: string) {
  view.dispatch(view.state.replaceSelection(words), { userEvent: 'input.type' })
}
function press(key: string, options: KeyboardEventInit = {}) {
  view.contentDOM.dispatchEvent(new KeyboardEvent('keydown', { key, keyCode: key === 'ArrowRight' ? 39 : 0, bubbles: true, cancelable: true, ...options }))
}

test('what is typed at the end of a line is in the line, and read as the server reads it', () => {
  expect(select(view.state.doc.line(3).to)).toBe(END)
  type('e')
  expect(text).toBe(TEXT.replace('tru', 'true'))
  expect(read(parse(text), ['spec', 'network', 'public'])).toBe(true)
  type(' # why')
  expect(text).toBe(TEXT.replace('tru', 'true # why'))
  view.dispatch({ changes: { from: view.state.doc.line(1).to, insert: ' # spec' } })
  expect(text).toBe(TEXT.replace('tru', 'true # why').replace('spec:', 'spec: # spec'))
  undo(view)
  undo(view)
  expect(text).toBe(TEXT)
})

test('the end of a line is before both of its characters, and the next step is behind them', () => {
  select(END - 2)
  cursorLineEnd(view)
  expect(view.state.selection.main.head).toBe(END)
  cursorLineEnd(view)
  expect(view.state.selection.main.head).toBe(END)
  press('ArrowRight')
  expect(view.state.selection.main.head).toBe(END + 2)
  cursorCharLeft(view)
  expect(view.state.selection.main.head).toBe(END)
  press('ArrowRight', { shiftKey: true })
  expect(view.state.sliceDoc(view.state.selection.main.from, view.state.selection.main.to)).toBe('\r\n')
  select(END - 3, END + 1)
  expect(view.state.sliceDoc(view.state.selection.main.from, view.state.selection.main.to)).toBe('tru')
})

test.each<[string, number, Command, string]>([
  ['Delete at the end', END, deleteCharForward, TEXT.replace('tru\r\n', 'tru')],
  ['Backspace at the beginning', END + 2, deleteCharBackward, TEXT.replace('tru\r\n', 'tru')],
  ['Backspace at the end', END, deleteCharBackward, TEXT.replace('tru', 'tr')],
  ['delete to the end', END - 2, deleteToLineEnd, TEXT.replace('tru', 't')],
  ['delete to the end, at the end', END, deleteToLineEnd, TEXT.replace('tru\r\n', 'tru')],
  ['Enter', END, insertNewlineAndIndent, TEXT.replace('tru\r\n', 'tru\r\n    \r\n')],
  ['the line down', END, moveLineDown, TEXT.replace('    public: tru\r\n  os: {}\r\n', '  os: {}\r\n    public: tru\r\n')],
])('%s keeps both characters of a line end together', (_, at, command, wanted) => {
  select(at)
  expect(command(view)).toBe(true)
  expect(text).toBe(wanted)
  undo(view)
  expect(text).toBe(TEXT)
})

test('lines that are pasted end as those of the text, and those of a text with LF stay as they are', () => {
  select(END)
  type('e\n    headless: true\r\n    x: 1')
  expect(text).toBe(TEXT.replace('tru', 'true\r\n    headless: true\r\n    x: 1'))
  expect(view.state.selection.main.head).toBe(text.indexOf('x: 1') + 4)
  editor.destroy()
  open('a: 1\nb: 2\n')
  select(4)
  type('\nc: 3')
  expect(text).toBe('a: 1\nc: 3\nb: 2\n')
})

test('what a form changes is byte for byte what it says', () => {
  const changes = write(parse(TEXT), ['spec', 'network', 'public'], false)
  editor.change(changes)
  expect(text).toBe(apply(TEXT, changes))
})

test('any change does to a text with CRLF what it does to one with LF', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 12 })
  const places = fc.tuple(fc.nat(24), fc.nat(24)).map((both) => both.sort((a, b) => a - b))
  const extensions = [EditorState.lineSeparator.of('\n'), lineEnds]
  fc.assert(
    fc.property(texts.filter((one) => one.includes('\n')), fc.array(fc.tuple(places, texts), { minLength: 1, maxLength: 4 }), (begin, changes) => {
      let plain = begin
      let state = EditorState.create({ doc: begin.replaceAll('\n', '\r\n'), extensions })
      for (const [ends, insert] of changes) {
        const [from = 0, to = 0] = ends.map((at) => Math.min(at, state.doc.length))
        const was = state.doc.toString()
        if (!was.includes('\n')) return
        const meant = (at: number) => was.slice(0, at).replaceAll('\r', '').length
        const isStep = !insert && was.slice(from, to) === '\r'
        plain = plain.slice(0, meant(from)) + insert + plain.slice(meant(to) + (isStep ? 1 : 0))
        state = state.update({ changes: { from, to, insert }, selection: { anchor: from } }).state
        expect(state.doc.toString()).toBe(plain.replaceAll('\n', '\r\n'))
        const { head } = state.selection.main
        expect(state.sliceDoc(Math.max(0, head - 1), head + 1)).not.toBe('\r\n')
      }
    }),
    { seed: 7, numRuns: 500 },
  )
})
