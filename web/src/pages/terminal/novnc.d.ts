/** What is used of noVNC, which has no types of its own. Source: its docs/API.md. */
declare module '@novnc/novnc' {
  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket)
    scaleViewport: boolean
    focusOnClick: boolean
    sendKey(keysym: number, code: string, down?: boolean): void
    sendCtrlAltDel(): void
    focus(): void
  }
}
