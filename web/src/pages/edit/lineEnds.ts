/**
 * Line ends of two characters (CRLF), in an editor whose lines end with the second of them alone: the first one is the
 * last character of its line there. No cursor stays between the two, nothing is put there, and they go together.
 */
import { ChangeSet, EditorSelection, EditorState } from '@codemirror/state'
import type { ChangeSpec, Extension, SelectionRange, StateCommand, Text, Transaction, TransactionSpec } from '@codemirror/state'
import { keymap } from '@codemirror/view'

const RETURN = '\r'
const FEED = '\n'
const PAIR = RETURN + FEED

/** How a transaction keeps pairs whole. One that must be as it is says `filter: false`, as undo does. */
const wholePairs = EditorState.transactionFilter.of((transaction): TransactionSpec | readonly TransactionSpec[] => {
  if (!transaction.docChanged && !transaction.selection) return transaction
  const repairs = ChangeSet.of(transaction.docChanged ? repairsOf(transaction) : [], transaction.newDoc.length, FEED)
  const selection = outside(transaction.newSelection.map(repairs), repairs.apply(transaction.newDoc))
  if (repairs.empty && selection.eq(transaction.newSelection, true)) return transaction
  return [transaction, { changes: repairs, selection, sequential: true }]
})

export const lineEnds: Extension = [
  wholePairs,
  // To the editor the place behind a line's last word is not yet its end, so that these would stay there.
  keymap.of([
    { key: 'ArrowRight', run: over(false), shift: over(true) },
    { key: 'Mod-ArrowRight', mac: 'Alt-ArrowRight', run: over(false), shift: over(true) },
    { mac: 'Ctrl-f', run: over(false), shift: over(true) },
  ]),
]

/** The changes of a transaction's text after which no pair is torn, and what is new ends its lines as the rest does. */
function repairsOf({ startState, newDoc, changes }: Transaction): ChangeSpec[] {
  const { doc } = startState
  const repairs: ChangeSpec[] = []
  changes.iterChanges((fromA, toA, fromB, toB, inserted) => {
    if (isBetween(doc, fromA) && newDoc.sliceString(fromB, fromB + 1) !== FEED) repairs.push({ from: fromB - 1, to: fromB })
    if (inserted.lines > 1 && doc.toString().includes(PAIR)) repairs.push(...returnsWithin(newDoc, fromB, toB))
    if (!isBetween(doc, toA) || newDoc.sliceString(toB - 1, toB) === RETURN) return
    // What is deleted alone was a step over the line's end; else the end stays, and what was before it changes.
    const isStep = doc.sliceString(fromA, toA) === RETURN && !inserted.length
    repairs.push(isStep ? { from: toB, to: toB + 1 } : { from: toB, insert: RETURN })
  })
  return repairs
}

/** Carriage returns for the line feeds of a range that have none. */
function returnsWithin(text: Text, from: number, to: number): ChangeSpec[] {
  const before = from > 0 ? 1 : 0
  const feeds = text.sliceString(from - before, to).matchAll(/(?<!\r)\n/g)
  return [...feeds].map(({ index }) => from - before + index).filter((at) => at >= from).map((at) => ({ from: at, insert: RETURN }))
}

function isBetween(text: Text, at: number): boolean {
  return at > 0 && text.sliceString(at - 1, at + 1) === PAIR
}

/** A selection whose ends are not within pairs. */
function outside(selection: EditorSelection, text: Text): EditorSelection {
  const moved = (at: number) => (isBetween(text, at) ? at - 1 : at)
  const ranges = selection.ranges.map((range): SelectionRange => {
    const [anchor, head] = [moved(range.anchor), moved(range.head)]
    if (anchor === range.anchor && head === range.head) return range
    if (range.empty) return EditorSelection.cursor(head, -1, undefined, range.goalColumn)
    return EditorSelection.range(anchor, head, range.goalColumn)
  })
  return EditorSelection.create(ranges, selection.mainIndex)
}

/** To the next line, from where this one's last word ends. */
function over(keepsAnchor: boolean): StateCommand {
  return ({ state, dispatch }) => {
    const { anchor, head, empty } = state.selection.main
    if (state.sliceDoc(head, head + 2) !== PAIR || !(empty || keepsAnchor)) return false
    const next = head + 2
    dispatch(state.update({ selection: { anchor: keepsAnchor ? anchor : next, head: next }, scrollIntoView: true, userEvent: 'select' }))
    return true
  }
}
