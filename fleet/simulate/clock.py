"""Time as the simulator feels it: seconds that can be made shorter, so that tests need not wait for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`speed` simulated seconds pass in each real one. The loop's own time is used, so a virtual loop works too."""

    speed: float = 1.0

    def now(self) -> float:
        """Simulated seconds, counted from anywhere."""
        return asyncio.get_running_loop().time() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)
