namespace Oxen.Router.Hosting;

/// <summary>What a router knows of the network at one moment.</summary>
/// <param name="Members">Routers that may be relays.</param>
/// <param name="Known">Of those, how many it could find.</param>
/// <param name="Relays">Relays that paths can be built with.</param>
/// <param name="Exits">Exits that they can.</param>
/// <param name="AskedUnixSeconds">A client's: when relays were last asked with success; 0: not yet, or a relay's.</param>
internal sealed record DirectoryView(int Members, int Known, int Relays, int Exits, long AskedUnixSeconds);
