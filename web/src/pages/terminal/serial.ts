/** The serial console: letters. */
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'

import type { Display } from './display'

export function open(host: HTMLElement): Display {
  const terminal = new Terminal({ fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, monospace", fontSize: 14, screenReaderMode: true })
  const fit = new FitAddon()
  terminal.loadAddon(fit)
  terminal.open(host)
  fit.fit()
  new ResizeObserver(() => fit.fit()).observe(host)
  let socket: WebSocket | null = null
  const bytes = new TextEncoder()
  terminal.onData((text) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(bytes.encode(text))
  })
  terminal.focus()
  return {
    connect(opened) {
      socket = opened
      opened.addEventListener('message', (message) => terminal.write(new Uint8Array(message.data as ArrayBuffer)))
      // A guest that waits at its prompt says nothing until it is asked.
      opened.addEventListener('open', () => opened.send(bytes.encode('\r')))
    },
    focus: () => terminal.focus(),
    type: (text) => terminal.paste(text),
    restart: null,
  }
}
