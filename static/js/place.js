// In a narrow window the navigation is a scrolling row: the current place may be out of sight.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
