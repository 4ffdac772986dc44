/** The text editor: CodeMirror with YAML, loaded when a page with it is opened. */
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { lintGutter, setDiagnostics } from '@codemirror/lint'
import type { Diagnostic } from '@codemirror/lint'
import { EditorState, StateEffect, StateField } from '@codemirror/state'
import type { Extension } from '@codemirror/state'
import { Decoration, EditorView, WidgetType, drawSelection, keymap, lineNumbers } from '@codemirror/view'
import type { DecorationSet } from '@codemirror/view'
import { tags } from '@lezer/highlight'

import { parse, secrets } from '../../draft'
import type { Change } from '../../draft'
import type { Schema } from '../../schema/schema'
import { help } from './help'
import { lineEnds } from './lineEnds'
import { DOTS } from './shown'

export interface Editor {
  change(changes: readonly Change[]): void
  mark(marks: readonly Diagnostic[]): void
  destroy(): void
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
  { tag: [tags.string, tags.content], color: 'var(--ink)' },
  { tag: [tags.meta, tags.labelName, tags.typeName], color: 'var(--wait)' },
])

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '0.875rem', backgroundColor: 'var(--sheet)', color: 'var(--ink)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5' },
  '.cm-gutters': { backgroundColor: 'var(--sunken)', color: 'var(--soft)', border: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    backgroundColor: 'color-mix(in oklab, var(--accent) 30%, transparent)',
  },
  '.cm-explained': { maxWidth: '28rem', padding: '0.4rem 0.6rem', fontFamily: 'system-ui, sans-serif' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-tooltip': { backgroundColor: 'var(--sheet)', color: 'var(--ink)', border: '1px solid var(--line)' },
})

/**
 * Open an editor.
 * @param root A shadow root: there its styles are objects, which the page's policy allows.
 */
export function openEditor(
  root: ShadowRoot,
  options: { text: string; label: string; become: (text: string) => void; schema: () => Schema | null },
): Editor {
  const listener = EditorView.updateListener.of((update) => {
    if (update.docChanged) options.become(update.state.doc.toString())
  })
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        // Only this ends a line, so that offsets are those of the text and a carriage return stays where it is.
        EditorState.lineSeparator.of('\n'),
        lineEnds,
        lineNumbers(),
        history(),
        drawSelection(),
        yaml(),
        indentUnit.of('  '),
        syntaxHighlighting(colours),
        lintGutter(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.contentAttributes.of({ 'aria-label': options.label, spellcheck: 'false', tabindex: '0' }),
        look,
        masking,
        help(options.schema),
        listener,
      ],
    }),
  })
  return {
    // A form's changes are bytes, which nothing else has a say in.
    change: (changes) => view.dispatch({ changes: [...changes], userEvent: 'input.form', filter: false }),
    mark: (marks) => view.dispatch(setDiagnostics(view.state, [...marks])),
    destroy: () => view.destroy(),
  }
}

class Mask extends WidgetType {
  toDOM(): HTMLElement {
    const mask = document.createElement('span')
    mask.textContent = DOTS
    return mask
  }
}

const focus = StateEffect.define<boolean>()
const mask = Decoration.replace({ widget: new Mask() })

/** Passwords are dots while the text has no focus; the text itself stays what it is. */
const masks = StateField.define<{ readonly isFocused: boolean; readonly shown: DecorationSet }>({
  create: (state) => ({ isFocused: false, shown: masked(state) }),
  update(value, transaction) {
    const change = transaction.effects.find((effect) => effect.is(focus))
    const isFocused = change ? change.value : value.isFocused
    if (!change && !transaction.docChanged) return value
    return { isFocused, shown: isFocused ? Decoration.none : masked(transaction.state) }
  },
  provide: (field) => EditorView.decorations.from(field, (value) => value.shown),
})

const masking: Extension = [masks, EditorView.focusChangeEffect.of((_, isFocused) => focus.of(isFocused))]

function masked(state: EditorState): DecorationSet {
  const spans = secrets(parse(state.doc.toString()))
  return Decoration.set(spans.map(({ from, to }) => mask.range(from, to)))
}
