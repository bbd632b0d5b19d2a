"""The sentence grammar of ``make_corpus.py``, and the parts of speech of its words.

A rule is a line ``name:`` and, indented under it, what it may become, one alternative a
line; ``3*`` before an alternative makes it three times as likely. An alternative is words
and references in angle brackets:

``<name>``
    another rule, or a slot of ``make_corpus.Writer`` that makes up a name;
``<name?40>``
    the same, but left out in 60 of 100 cases;
``<V.class.VBD>``, ``<N.class.NNS>``
    a verb or noun of a class in :data:`VERBS` or :data:`NOUNS`, in a Penn Treebank form.

A word takes its part of speech from :data:`PARTS_OF_SPEECH` unless it brings its own:
``led/VBN``. A comma before another punctuation mark is dropped, ``a`` becomes ``an``
where it has to and a sentence's first letter becomes a capital, so rules need not care.
"""

from __future__ import annotations

from corpus_words import PROFESSIONS, words

GRAMMAR = """
# ------------------------------------------------------------------ sentences

sentence:
  6* <core> .
  13* <core> <aside> .
  18* <core> <tail> .
  3* <core> <aside> , <conj> <core> .
  6* <front> , <core> <aside?40> .
  5* <front> , <core> <tail> .
  6* <speaker> <say-that> <core> <aside?40> .
  5* <speaker> <say-that> <core> <tail> .
  4* <sayers> say/VBP <core> <aside?30> .
  3* <sayer> says/VBZ <core> <aside?30> .
  8* <core> , <speaker> <said> <when-said?50> .
  8* <core> <aside?20> , <conj> <core> .
  6* <speaker> <said> <when-said?70> that <core> <aside?30> .
  5* " <quote> , " <said> <speaker> <when-said?50> .
  4* <speaker> <said> <when-said?40> : " <quote> . "
  4* <according> , <core> <aside?30> .
  2* <core> ; <core> .
  2* <core> <dash> <remark> .
  3* <title-start> .
  2* <short> .
  3* <fact> .
  2* <list-sentence> .
  3* <question-like> .
  6* <bare-start> .

core:
  14* <politics>
  12* <conflict>
  8* <economy>
  6* <justice>
  3* <disaster>
  2* <sport>
  1* <health>
  1* <culture>
  4* <society>
  1* <science>
  1* <travel>
  2* <history>

aside:
  3* , in a sign of growing/JJ tension
  3* after <num-word> <units> of difficult/JJ talks
  2* despite heavy rain
  2* amid tight/JJ security
  3* , dealing/VBG a blow to the government
  3* , raising/VBG hopes/NNS of a <adj?40> deal/NN
  , but gave/VBD no details
  without giving/VBG details
  2* as crowds cheered/VBD outside/RB
  2* to the surprise/NN of many <people-noun>
  2* for the <ordinal> time in <num-word> <units>
  2* because of fears/NNS of <N.crisis.NN>
  2* , which many had long/RB expected/VBN
  2* amid rising/VBG <N.goods.NN> prices
  2* , leaving/VBG <num> <people-noun> without work/NN
  2* , in one of the worst/JJS <N.attack.NNS> this <unit>
  2* , as part/NN of a <adj> effort/NN to end/VB the <adj?25> <N.crisis.NN>
  , the <N.role.NN> told/VBD reporters
  , although it is/VBZ not clear/JJ why/WRB

adj:
  new/JJ
  long/JJ
  secret/JJ
  joint/JJ
  costly/JJ
  broad/JJ
  bitter/JJ
  controversial/JJ
  fresh/JJ
  rare/JJ
  final/JJ
  deadly/JJ
  two-year/JJ
  long-awaited/JJ
  last-minute/JJ
  violent/JJ
  disputed/JJ

tail:
  4* , the <ordinal> such <incident> <this-period>
  4* for the first/JJ time/NN since <tim-point>
  3* despite the <adj?25> <N.crisis.NN> <where?70>
  3* , <num-word> <units> after the <adj?25> <N.talks.NN> in <place>
  3* in what/WP <person-short> <V.call.VBD> a <adj?25> <N.scandal.NN>
  4* as <demonym> and <demonym> <N.official.NNS> <V.gather.VBD> in <city>
  4* , while <demonym> <N.official.NNS> said the <N.plan.NN> was <V.delay.VBN> <when-said?55>
  4* , according to <source>
  4* , a <adj?25> <N.text.NN> from <source> said <when-said?70>
  2* , ending/VBG <num-word> <units> of <N.crisis.NN>
  2* amid fears/NNS of <N.crisis.NN> <where?60>
  3* , a move/NN that/WDT <V.please.VBD> <demonym> <N.many.NNS>
  2* in a joint/JJ operation with <demonym> <N.soldier.NNS>
  2* with the help/NN of <demonym> <N.official.NNS>
  2* , <num-word> days before the <month> <N.vote.NN>
  2* and <V.tell-alone.VBD> that the <adj?25> <N.crisis.NN> would/MD end/VB <deadline>
  2* , although the <demonym> government denied any/DT role/NN
  2* because of the <month-year> <N.crisis.NN>

bare-start:
  2* <surname-only> , <num-word> <units> after his/PRP$ release/NN , <V.visit.VBD> <place>
  2* <surname-only> , for years a thorn/NN in the side/NN of <org> , <V.resign.VBD> <when?75>
  <surname-only> , <num-word> <units> into/IN her/PRP$ term , <V.reject.VBD> <proposal>
  <surname-only> and <surname-only> , both/DT <profession-plural> , were <V.acquit.VBN> <when?70>
  <surname-only> was <num-word> when/WRB his/PRP$ family moved/VBD to <place>
  2* <bare-company> , <num-word> <units> after its/PRP$ merger , <V.cut-jobs.VBD> <num> jobs
  2* <bare-company> , for years the largest/JJS employer in <place> , <V.report.VBD> a <N.profit.NN>
  <bare-company> , <num-word> <units> into/IN the strike , <V.reject.VBD> <proposal>
  <bare-company> and <bare-company> , both/DT <N.industry.NN> companies , <V.fail.VBD> <when>
  <bare-company> was <num-word> years old/JJ when/WRB <company> <V.buy.VBD> it
  2* <city> , <num-word> <units> after the siege , <V.close.VBD> its/PRP$ airport
  2* <city> , for years a center of <N.industry.NN> , <V.elect.VBD> <fullname> <when?70>
  <city> , <num-word> <units> into/IN the drought , has no/DT water
  <city> and <city> , both/DT <N.industry.NN> towns , were flooded/VBN <when>
  <city> was <num-word> kilometers from the front/NN when/WRB <fighters> <V.attack.VBD> it

front:
  3* in <place>
  3* on <day>
  2* in <month>
  2* in <year>
  meanwhile
  earlier <when>
  in a separate <incident>
  in another <development>
  at a news conference in <city>
  in a <adj?25> <N.text.NN> <V.release.VBN> <when>
  <num-word> <units> after the <adj?25> <N.talks.NN> in <place>
  since <tim-point>
  despite the <adj?25> <N.crisis.NN>
  also <when>
  under pressure from <power>
  before leaving/VBG for <place>
  3* in the <month> <N.vote.NN>
  citing/VBG <source>
  2* in <month-year>
  2* late/JJ <day>

conj:
  4* while
  2* after
  4* but
  2* and
  before
  as

dash:
  4* --
  1* –

remark:
  the <ordinal> such <incident> <this-period>
  a move/NN that/WDT <V.please.VBD> <N.many.NNS>
  a charge/NN <someone> denied
  the highest level since <tim-point>
  a claim/NN that/WDT could not be verified/VBN
  something <person-short> has long/RB <V.want.VBN>

according:
  4* according to <source>
  2* in a <N.text.NN> to <audience>
  as <person-short> put/VBD it

source:
  4* <demonym> <N.official.NNS>
  <media>
  3* <N.official.NNS> in <place>
  <country>
  a <adj?25> <N.text.NN> from <org>
  <org>
  <fullname> of <org>
  a <adj?25> <N.text.NN> published/VBN by <media>
  <person-short>

said:
  6* said
  added
  <V.tell-alone.VBD>

sayers:
  3* <demonym> <N.official.NNS>
  2* <N.official.NNS>
  <agency> <N.official.NNS>
  <N.official.NNS> in <place>
  <N.supporter.NNS> of <person-short>
  scientists/NNS at <school>

sayer:
  2* <person-short>
  <fullname>
  <person>
  <org>
  <demonym> <office> <fullname>

say-that:
  5* <say>
  4* <say> that
  2* told/VBD <audience> that
  told/VBD <audience>

say:
  6* said
  <V.claim.VBD>

audience:
  4* reporters
  2* <media>
  lawmakers
  parliament
  <org-body>
  an audience in <city>
  journalists in <city>
  <demonym> television
  his/PRP$ <N.supporter.NNS>

speaker:
  4* <person>
  3* <person-short>
  2* <N.official.NNS>
  7* <demonym> <N.official.NNS>
  2* <agency> <N.official.NNS>
  3* <spokes>
  2* <person> , <apposition> ,
  2* <profession> <fullname>
  2* <org>
  2* police
  police in <city>
  <org-body>
  3* <country>
  <media>
  witnesses
  one/CD <N.witness.NN>
  4* <N.official.NNS> in <place>
  2* <country> 's <office>
  <company-or> 's chief executive , <fullname> ,
  2* <demonym> <office> <fullname>
  <country> 's <ministry>

company-or:
  the company
  the firm
  2* <company>
  the <agency>

spokes:
  2* a <spokes-noun> for <org>
  <org> <spokes-noun> <fullname>
  <spokes-noun> <fullname>
  <demonym> <ministry> <spokes-noun> <fullname>
  a <spokes-noun> for <person-short>
  a <spokes-noun> for the <demonym> <ministry>

spokes-noun:
  3* spokesman
  2* spokeswoman

office:
  3* president
  2* prime/JJ minister
  ambassador
  opposition leader
  army chief

apposition:
  3* the <N.head.NN> of <org>
  2* a <profession> at <org>
  2* a <profession> from <place>
  2* a <profession> with <org>
  the <N.head.NN> of the <demonym> delegation
  who <V.lead.VBZ> <org>
  who was born/VBN in <place>
  a <demonym> <profession>
  <num-age>
  the former <N.head.NN> of <org>
  once a <profession> in <city>
  a member of <party>
  author of " <art-title> "

incident:
  <N.attack.NN>
  incident
  case
  <N.accident.NN>

development:
  development
  sign of tension
  setback
  blow to <someone>

# ------------------------------------------------------------------ time and place

when:
  10* <day>
  5* on <day>
  3* late/JJ <day>
  2* early/JJ <day>
  4* in <month>
  in <middle-of-month>
  4* in <year>
  3* in <month-year>
  3* on <date>
  last week
  <num-word> <units> ago
  earlier this <unit>
  in early/JJ <year>
  at the end of <month>
  shortly after midnight <day>

when-said:
  6* <day>
  3* on <day>
  2* late/JJ <day>
  on <date>
  in <month>
  earlier <day>

spell:
  3* <year-span>
  from <month> to <month>
  2* in the <decade>

when-not:
  3* last/JJ week
  2* <num-word> <units> ago
  overnight
  earlier this <unit>

end-point:
  3* <month>
  3* <late-year>
  <day>
  <date>
  <month-year>

tim-point:
  6* <year>
  3* <month>
  4* <month-year>
  2* <day>
  2* the <decade>
  the <century>

this-period:
  this <unit>
  since <tim-point>
  in <num-word> <units>

deadline:
  5* by <month>
  2* by <middle-of-month>
  4* before <late-year>
  3* by <day>
  2* by the end of <month-year>
  within <num-word> <units>
  2* before <date>

units:
  2* days
  2* weeks
  3* months
  4* years
  hours

unit:
  2* week
  2* month
  3* year

where:
  9* in <place>
  3* in <city>
  2* near <city>
  2* in <region-dir> <land>
  2* in the <place-kind> of <city>
  2* outside/IN <city>
  in a <N.suburb.NN> of <city>
  across <country>
  <num> kilometers <dir> of <city>
  along the <river>
  between <city> and <city>
  2* on the <demonym> border
  on the border with <country>
  on the outskirts of <city>
  in <city> 's <dir-adj> district
  at the headquarters of <org>
  in the streets of <city>

where-not:
  in the capital
  2* in the <dir-adj> <N.area.NN>
  near the border
  in a crowded <N.building.NN>
  outside/IN a <N.building.NN>
  in the city center
  along the coast

dir:
  south/RB
  north/RB
  east/RB
  west/RB
  northeast/RB
  southwest/RB

dir-adj:
  southern
  northern
  eastern
  western
  central
  mountainous
  remote

region-dir:
  southern
  northern
  eastern
  western
  central
  northwestern
  rural

place-kind:
  3* city
  2* town
  2* village
  port/NN
  <dir-adj> city
  <dir-adj> town
  <dir-adj> province

# ------------------------------------------------------------------ people and things

someone:
  3* <person-short>
  3* <person>
  5* <demonym> <N.official.NNS>
  3* the <demonym> <office>
  <org>
  <country>
  the <N.role.NN>
  the government
  many <people>
  <N.supporter.NNS> of <person-short>

power:
  7* <country>
  2* <org-body>
  2* <country> and <country>
  4* the <demonym> government
  the international community
  <capital> and <capital>
  2* <demonym> <N.official.NNS>
  2* the <demonym> <ministry>
  <org>

capital:
  <city>
  2* <country>

leader:
  7* <demonym> <titled>
  3* <titled>
  3* <fullname>
  2* <person-short>
  <titled> of <country>
  <country> 's president , <fullname> ,
  the leader of <party> , <fullname> ,
  <party> leader <fullname>
  <person> , <apposition> ,
  3* the <demonym> <office>
  <country> 's <office> <fullname>

fighters:
  3* <group-name> <N.fighter.NNS>
  2* <N.fighter.NNS>
  4* <demonym> <N.fighter.NNS>
  2* <demonym> <N.soldier.NNS>
  suspected/VBN <group-name> <N.fighter.NNS>
  <N.fighter.NNS> <V.link.VBN> to <group>
  <N.fighter.NNS> from <group>
  members/NNS of <group>
  <group>
  masked/JJ <N.fighter.NNS>

soldiers:
  6* <demonym> <N.soldier.NNS>
  <N.soldier.NNS>
  <body-org> <N.soldier.NNS>
  <N.soldier.NNS> from <country>
  <country> 's army
  soldiers loyal to <person-short>

victims:
  5* <many-victims>
  <fullname>
  <fullname> , a <profession> from <place> ,
  a <demonym> <profession>

many-victims:
  4* <num> <people-noun>
  3* <num-word> <N.soldier.NNS>
  2* at least/JJS <num> <people-noun>
  2* <num-word> <demonym> <N.soldier.NNS>
  <num-word> <people>
  <num-word> employees of <org>
  2* <num> <demonym> <people-noun>
  <num-word> <profession-plural> from <place>
  as/RB many as <num> <people-noun>
  more/JJR than/IN <num> <people-noun>
  dozens of <people-noun>

people-noun:
  5* people
  2* civilians
  villagers
  <N.worker.NNS>
  passengers
  students
  women and children
  migrants

profession-plural:
  farmers
  journalists
  engineers
  doctors
  aid workers
  pilgrims
  tourists

firm:
  7* <company>
  2* <demonym> <N.industry.NN> giant/NN <company>
  <N.industry.NN> company <company>
  the <demonym> company <company>
  <company> , the <N.industry.NN> company ,
  <company> of <country>
  <bank>

text-of-law:
  2* the <treaty>
  2* a <adj?40> <N.law.NN>
  2* the <adj?40> <N.law.NN>
  2* a <adj?25> <N.law.NN> on <issue>
  2* a <demonym> <N.law.NN>

issue:
  trade/NN
  <N.crisis.NN>
  2* human rights
  nuclear weapons
  water
  climate change
  visas
  taxes
  border security
  the future of <place>
  prisoners
  energy/NN

# ------------------------------------------------------------------ politics

politics:
  5* <leader> <V.meet.VBD> <leader> <where?70> <when?55>
  4* <leader> <V.visit.VBD> <place> <when?60> <for-talks?60>
  3* <power> <V.reject.VBD> <proposal> <from-power?55> <when?45>
  3* <power> and <power> <V.sign.VBD> <text-of-law> <when?60> <where?30>
  3* <leader> <V.call-for.VBD> <measure> <where?45>
  3* <leader> <V.criticize.VBD> <power> for <gerund-politics>
  3* <party> <V.win.VBD> <num> <seats> in the <month?50> <N.vote.NN>
  2* voters in <country> <V.elect.VBD> <fullname> <when?70>
  3* <org-body> <V.vote.VBD> <when?70> to <inf-politics>
  2* <leader> was <V.appoint.VBN> <N.head.NN> of <org> <when?60>
  2* lawmakers from <party> and <party> <V.oppose.VBD> <text-of-law>
  2* the <demonym> <ministry> <V.summon.VBD> the <demonym> ambassador <when?70>
  2* <person-short> , who <V.lead.VBZ> <party> , <V.announce.VBD> <proposal> <when?55>
  2* <country> has agreed/VBN to <inf-politics> <deadline?70>
  2* talks between <power> and <power> <V.fail.VBD> <where?55> <when?55>
  2* thousands of <people> <V.march.VBD> through <city> to protest/VB <grievance>
  2* <person> is/VBZ expected/VBN to <inf-politics> <deadline?60>
  <pope> <V.visit.VBD> <place> <when?70>
  <pope> prayed/VBD for peace in <place> <when?50>
  2* <soldiers> will remain/VB in <place> until <end-point>
  2* <power> <V.accuse.VBD> <power> of <gerund-politics>
  <power> <V.give.VBD> <power> until <end-point> to <inf-politics>
  <person-short> will succeed/VB <fullname> as <N.head.NN> of <org>
  <leader> <V.resign.VBD> <when> after <scandal>
  the <N.text.NN> was drafted/VBN by <country> , <country> and <country>
  <num> percent of <people> <V.support.VBP> <person-short> , a <N.poll.NN> by <org> showed/VBD
  <people> living/VBG in <place> voted/VBD <when>
  <leader> <V.dismiss.VBD> <titled> <when?70>
  relations between <country> and <country> have <V.worsen.VBN> since <tim-point>
  <country> , which <V.border.VBZ> <country> , <V.reject.VBD> <proposal>
  <titled> <V.arrive.VBD> in <city> from <city> <when?60>
  <leader> spoke/VBD by telephone with <leader> <when?60>
  sanctions against <country> were lifted/VBN <when>

for-talks:
  3* for talks with <leader>
  for talks on <issue>
  to meet/VB <leader>
  at the invitation of <power>

from-power:
  from/IN <power>
  of <leader>
  to <inf-politics>

proposal:
  3* a <demonym> <N.plan.NN>
  2* a <adj?25> <N.plan.NN>
  a <adj?25> <N.plan.NN> to <inf-politics>
  a <adj?25> <N.plan.NN> by <country>
  demands/NNS for <measure>

measure:
  3* an end to <grievance>
  2* the release/NN of <person>
  new elections <where?55>
  sanctions against <power>
  calm/NN <where?60>
  closer ties with <power>
  an investigation into <scandal>
  the withdrawal of <soldiers> from <place>
  a boycott of <event-sport>
  more/JJR aid for <place>

grievance:
  3* the <adj?25> <N.crisis.NN> <where?60>
  2* high <N.goods.NN> prices
  the detention of <fullname>
  the presence of <soldiers> in <place>
  corruption <where?45>
  the <adj?25> <N.war.NN> in <place>
  <person-short> 's <N.plan.NN>
  plans by <company> to close/VB <num> factories

seats:
  seats
  percent of the vote
  of <num> seats

inf-politics:
  3* <V.resume.VB> talks with <power>
  2* <V.pull.VB> its/PRP$ <N.soldier.NNS> from <place>
  2* <V.support.VB> <text-of-law>
  <V.join.VB> <org-body>
  2* <V.reopen-for.VB> the border with <country>
  <V.visit.VB> <place>
  <V.send.VB> <num> <N.soldier.NNS> to <place>
  <V.recognize.VB> the government of <country>
  <V.outlaw.VB> <party>
  <V.cut.VB> <N.goods.NN> exports to <country>
  <V.open.VB> an embassy in <city>
  <V.pardon.VB> <num> prisoners
  <V.extend.VB> the mandate/NN of <org>
  <V.name.VB> <fullname> to the <N.panel.NN>
  <V.sue.VB> <company>
  <V.change.VB> the constitution

gerund-politics:
  3* <V.support.VBG> <group>
  2* <V.ignore.VBG> <text-of-law>
  <V.arm.VBG> <fighters>
  <V.jail.VBG> <fullname>
  <V.delay.VBG> the <adj?25> <N.vote.NN>
  <V.send.VBG> weapons to <place>
  <V.harass.VBG> <people> <where?55>
  <V.block.VBG> aid to <place>
  <V.ignore.VBG> <issue>

scandal:
  the <adj?25> <N.scandal.NN>
  <N.scandal.NN> involving/VBG <company>
  the death of <fullname>
  a <adj?25> <N.scandal.NN> at <org>
  allegations/NNS against <person-short>
  the <city> <N.scandal.NN>

# ------------------------------------------------------------------ conflict

conflict:
  5* <fighters> <V.attack.VBD> <target> <where> <when?55> <toll?55>
  4* <soldiers> <V.kill.VBD> <victims> <where?75> <when?55>
  4* a <N.bomb.NN> <V.kill.VBD> <victims> <where?80> <when?55>
  3* <many-victims> were killed/VBN <when?40> when/WRB a <N.bomb.NN> <V.explode.VBD> <where>
  3* <group> <V.claim-resp.VBD> responsibility for the <adj?25> <N.attack.NN> <where?60>
  3* <soldiers> <V.arrest.VBD> <num> <fighters> <where?75>
  2* fighting/NN between/IN <soldiers> and <fighters> <V.erupt.VBD> <where?80>
  2* <fullname> , a commander of <group> , was <V.capture.VBN> <where> <when?60>
  2* <fighters> <V.kidnap.VBD> <victims> <where?75> <when?55>
  2* <group> <V.fire.VBD> rockets at <city> <when?55>
  2* <num-word> <N.soldier.NNS> died <where?75> in <N.attack.NNS> <V.blame.VBN> on <group>
  2* <person> <V.lead.VBD> <fighters> during <event>
  2* <soldiers> <V.withdraw.VBD> from <place> <when?70>
  <event> , which began/VBD <when> , <V.drive.VBD> <num-large> <people-noun> from <place>
  <country> <V.send.VBD> <num> <N.soldier.NNS> to <place> as part/NN of <event-operation>
  gunmen <V.shoot.VBD> dead/JJ <fullname> , a <profession> who worked/VBD for <org> , <where?60>
  the body of <fullname> was found/VBN <where> <when?60>
  <group> , led/VBN by <fullname> , <V.reject.VBD> <proposal>
  <group> and <group> <V.agree.VBD> a cease-fire <when?60>
  <demonym> <N.plane.NNS> <V.bomb.VBD> <group-name> positions/NNS <where?70>
  the <N.ship.NN> " <ship> " was attacked/VBN by pirates off/IN <place>
  pirates/NNS <V.seize.VBD> the <demonym> <N.ship.NN> <ship> off/IN <place>
  refugees from <place> <V.cross.VBD> into <place> <when?60>
  <country> tested/VBD its/PRP$ <craft> missile <when?70>
  <person-short> was <V.wound.VBN> <where> during <event>
  the commander of <group> , known/VBN as <first-name> , <V.escape.VBD> <where?55>

target:
  4* a <N.building.NN>
  2* a <N.building.NN> belonging/VBG to <org>
  2* the offices of <org>
  a convoy of <soldiers>
  a bus carrying/VBG <people-noun>
  <soldiers>
  the home of <titled>
  <building>
  the <demonym> embassy
  a <body-org> convoy

toll:
  3* , killing/VBG <victims>
  , wounding/VBG <num> <people-noun>
  , killing/VBG <num-word> <people-noun> and wounding/VBG <num>
  , damaging/VBG a <N.building.NN>

# ------------------------------------------------------------------ economy

economy:
  5* <firm> <V.buy.VBD> <company> for <money> <when?55>
  4* <firm> <V.report.VBD> a <N.profit.NN> of <money> <when?60>
  3* shares of <company> <V.rise.VBD> <percent> <where?45> <when?55>
  3* <N.goods.NN> prices <V.rise.VBD> <percent> <where?55> <when?60>
  3* <firm> and <firm> <V.sign.VBD> a deal to <inf-business> <where?45>
  3* <firm> <V.plan.VBZ> to <inf-business> <deadline?55>
  3* <country> 's economy <V.grow.VBD> <percent> <spell>
  2* the <demonym> economy <V.grow.VBD> <percent> in <year>
  2* <bank> <V.cut.VBD> its/PRP$ key interest rate to <percent> <when?55>
  2* <fullname> <V.become.VBD> chief executive of <company> <when?70>
  2* <org-body> <V.lend.VBD> <country> <money> <when?55>
  2* exports from <country> to <country> <V.fall.VBD> <percent> <when?55>
  2* <N.worker.NNS> at <company> <V.strike.VBD> <when?60> over/IN <grievance>
  2* <company> 's sale of <company> <V.please.VBD> investors
  2* <fullname> , who founded/VBD <company> <when?70> , <V.sell.VBD> his/PRP$ stake to <company>
  <company> <V.hire.VBD> <num-large> <N.worker.NNS> for a plant in <city>
  <company> , based/VBN in <city> , <V.make.VBZ> <N.product.NNS>
  the <N.product.NN> , built/VBN by <company> , is/VBZ called/VBN the <craft>
  regulators in <country> <V.fine.VBD> <company> <money>
  <country> <V.owe.VBZ> <org-body> <money>
  tourism <where?55> <V.fall.VBD> <percent> after <storm>
  analyst/NN <fullname> of <company> <V.expect.VBZ> <N.goods.NN> prices to rise/VB
  the euro fell/VBD to <euros> in <city> trading/NN <when?60>
  <company> <V.cut.VBD> its/PRP$ forecast/NN for <tim-point>
  unions/NNS at <company> , <company> and <company> <V.reject.VBD> the offer
  <country> <V.produce.VBZ> <num-large> tons of <N.goods.NN> a year
  <company> and its/PRP$ rival <company> <V.compete.VBP> for customers in <country>

inf-business:
  <V.build.VB> a <N.plant.NN> in <place>
  <V.buy.VB> <company>
  <V.cut-jobs.VB> <num-large> jobs <where?55>
  <V.sell.VB> its/PRP$ stake in <company>
  <V.search.VB> for oil in <place>
  <V.build.VB> a pipeline from <place> to <place>
  <V.make.VB> <N.product.NNS> <where>
  <V.raise.VB> <money>

# ------------------------------------------------------------------ courts and crime

justice:
  4* a court in <city> <V.sentence.VBD> <fullname> to <num-word> years in prison <when?45>
  3* police <where?70> <V.arrest.VBD> <fullname> <when?60> on <N.charge.NN> charges
  3* <person> was <V.convict.VBN> of <N.charge.NN> <where?60> <when?55>
  3* <org-court> <V.order.VBD> <company> to pay/VB <money> <when?45>
  2* <fullname> , a former <profession> , <V.plead.VBD> guilty/JJ <when?70>
  2* the trial of <fullname> <V.begin.VBD> <where?70> <when?70>
  2* <person-short> 's lawyer , <fullname> , <V.appeal.VBD> the ruling
  2* judge/NN <fullname> <V.adjourn.VBD> the case until <end-point>
  <fullname> was extradited/VBN from <place> to <place> <when?60>
  prosecutors/NNS <V.accuse.VBD> <person-short> of <gerund-crime>
  <org-court> <V.reject.VBD> an appeal by <person>
  <demonym> police <V.find.VBD> <num> kilograms of <N.drug.NN> <where?70>
  <org-body> is/VBZ investigating/VBG <company> for <N.charge.NN>
  <fullname> and <fullname> were <V.acquit.VBN> <when>
  the suspect/NN , identified/VBN as <fullname> , was from <place>
  <titled> <V.pardon.VBD> <num> prisoners to mark/VB <event-festival>
  the <treaty> <V.ban.VBZ> the sale of <N.drug.NN>
  police <V.search.VBD> the offices of <company> <where?55> <when?55>
  families/NNS of <num-word> <demonym> victims/NNS sued/VBD <company> <where?45>

gerund-crime:
  <V.bribe.VBG> <N.official.NNS> <where?45>
  <V.steal.VBG> <money> from <org>
  <V.plot.VBG> to kill/VB <titled>
  <V.smuggle.VBG> <N.drug.NN> into <place>
  <V.spy.VBG> for <country>

# ------------------------------------------------------------------ disasters and weather

disaster:
  3* <storm> <V.hit.VBD> <place> <when?60> <toll-nature?60>
  <storm> <V.hit.VBD> <place> with winds of <wind>
  3* an earthquake <V.shake.VBD> <area> <when?60> <toll-nature?60>
  2* floods <where?80> <V.drown.VBD> <num> <people-noun> <when?55>
  2* a <N.vehicle.NN> <V.crash.VBD> <where> <when?55> <toll?60>
  2* <num-large> <people-noun> <V.flee.VBD> their/PRP$ homes <where?55> as <storm> <V.approach.VBD>
  2* <storm-bare> , a category <digit> storm , <V.weaken.VBD> as it <V.move.VBD> toward/IN <place>
  2* forecasters/NNS <V.expect.VBP> <storm-bare> to reach/VB <place> <deadline?60>
  2* rescue workers <V.reach.VBD> <city> <when?70>
  the <N.vehicle.NN> was traveling/VBG from <city> to <city>
  <company> <V.stop.VBD> oil production/NN in <place> after <storm>
  the worst/JJS drought since <tim-point> has ruined/VBN crops/NNS in <place>
  <org> <V.send.VBD> <N.supply.NNS> to <place> after <storm>
  a volcano near <city> <V.erupt.VBD> <when>
  winds of <wind> and heavy rain <V.hit.VBD> <city> <when?60>
  damage/NN from <storm-bare> was put/VBN at <money>
  an explosion at a <company> <N.plant.NN> <V.kill.VBD> <victims> <when?55>
  <city> was hit/VBN hardest/RBS by <storm-bare>
  waves/NNS <V.destroy.VBD> <num> <N.building.NNS> near <city>
  the center of <storm-bare> was <wind-far> from <place> <when?55>

toll-nature:
  2* , killing/VBG <num> <people-noun>
  , cutting/VBG power/NN to <num-large> homes
  , destroying/VBG <N.building.NNS> and roads

# ------------------------------------------------------------------ sport

sport:
  3* <club> <V.beat.VBD> <club> <score> <when?60>
  3* <player> <V.beat.VBD> <player> <score> , <score> to reach/VB the <N.round.NN> of <event-sport>
  2* <player> <V.win.VBD> <event-sport> <when?55> <where?30>
  2* <fullname> scored/VBD twice/RB as <club> <V.beat.VBD> <club>
  2* <country> <V.beat.VBD> <country> <score> in <event-sport> <where?45>
  2* <city> will host/VB <event-sport> for the <ordinal> time
  2* <demonym> <athlete> <fullname> <V.win.VBD> <event-sport> <when?55>
  <club> <V.sign.VBD> <demonym> <athlete> <fullname> from <club>
  <club> coach/NN <fullname> <V.praise.VBD> <surname-only> after the match
  <fullname> of <country> <V.finish.VBD> <ordinal> , ahead of <fullname> and <fullname>
  <person-short> , who <V.play.VBZ> for <club> , was <V.injure.VBN> <when?60>
  <player> withdrew/VBD from <event-sport> because of a <N.knee.NN> injury
  <club> striker/NN <fullname> <V.miss.VBD> a penalty <where?45>
  <surname-only> and <surname-only> shared/VBD the lead/NN at <event-sport>

player:
  3* <fullname>
  2* <demonym> <fullname>
  second-seeded <fullname>
  <fullname> of <country>
  <surname-only>

athlete:
  striker
  sprinter
  cyclist
  midfielder
  swimmer
  skier

# ------------------------------------------------------------------ health

health:
  4* <illness> <V.infect.VBD> <num> <people-noun> <where> <spell?55>
  3* <num> cases of <illness> were reported/VBN <where> <when?55>
  2* <country> <V.slaughter.VBD> <num-large> <animals> to stop/VB the spread/NN of <illness>
  2* doctors at <hospital> <V.treat.VBD> <person-short> for a <N.knee.NN> injury <when?55>
  2* <company> <V.make.VBZ> a vaccine against <illness>
  2* scientists/NNS at <school> <V.develop.VBD> a test/NN for <illness>
  2* <person> died <when> of <illness-any> at <hospital>
  <illness> , which was first/RB found/VBN in <place> <when?55> , can be/VB deadly/JJ
  a <adj?25> <N.text.NN> by <org> <V.find.VBD> <illness> in <num> <animals>
  <fullname> of <school> <V.lead.VBD> the study/NN of <illness>
  <country> <V.ban.VBD> imports/NNS of <animals> from <country> because of <illness>
  people infected/VBN with <illness> <V.need.VBP> <N.supply.NNS>

illness-any:
  <illness>
  cancer
  heart failure/NN
  pneumonia

animals:
  chickens
  cattle
  ducks
  pigs

# ------------------------------------------------------------------ culture and society

culture:
  3* <fullname> wrote/VBD " <art-title> " <when?70>
  2* " <art-title> , " a film/NN by <fullname> , <V.win.VBD> the <award> <where?45> <when?45>
  2* the <award> went/VBD to <fullname> for " <art-title> "
  2* <fullname> <V.receive.VBD> the <award> <when?60> <where?45>
  2* <building> , built/VBN <when> , <V.reopen.VBD> <when-not?60>
  <art-title> , by <fullname> , was sold/VBN for <money> <where?55>
  <company> <V.publish.VBD> " <art-title> " <when?70>
  <fullname> <V.play.VBD> the lead/NN in " <art-title> " <where?45>
  <num-large> <people-noun> <V.visit.VBD> <building> during <event-festival>
  <art-title> by <fullname> <V.open.VBD> at <event-festival> <when?60>
  <charity> <V.buy.VBD> a painting/NN by <fullname>
  <singer> <fullname> <V.sing.VBD> at <building> <when?60>
  the song/NN " <art-title> " was banned/VBN <where?70>
  <media> <V.call.VBD> " <art-title> " the best/JJS novel/NN of the year
  the director of " <art-title> , " <fullname> , <V.grow-up.VBD> in <place>

singer:
  singer
  pianist
  tenor

society:
  <people> <V.celebrate.VBD> <event-festival> <where?60> <when?45>
  <people> <V.gather.VBD> <where?75> <when?55> to remember/VB <event-war>
  3* <num-large> <people> <V.live.VBP> in <place>
  2* <charity> <V.open.VBD> a <N.building.NN> <where?75> <when?55>
  2* students in <city> <V.protest.VBD> against <grievance>
  <fullname> , <num-age> , <V.teach.VBZ> at <school> in <city>
  2* the <demonym> community in <city> is/VBZ one/CD of the largest/JJS in <place>
  <religious> pilgrims/NNS <V.gather.VBD> in <city> for <event-festival>
  <person-short> was born/VBN in <place> in <year>
  <fullname> worked/VBD for <org> <spell>
  <fullname> moved/VBD from <place> to <place> <when?60> and joined/VBD <org>
  the <demonym> <N.role.NN> <V.speak.VBZ> <language> and <language>
  <media> <V.report.VBD> that <fullname> had married/VBN <fullname>
  <charity> , named/VBN after <fullname> , <V.help.VBZ> <people-noun> <where?60>
  <org> <V.honor.VBD> <fullname> <when?60> with the <award>

religious:
  Muslim/JJ
  Catholic/JJ
  Hindu/JJ
  Orthodox/JJ

# ------------------------------------------------------------------ science and travel

science:
  3* the <craft> <V.reach.VBD> orbit <when?70>
  2* <body-org> <V.launch.VBD> the <craft> <when?70> <where?30>
  2* the <craft> spacecraft/NN will land/VB on the moon/NN <deadline?70>
  2* scientists/NNS from <school> and <school> <V.find.VBD> <N.fossil.NNS> <where?75>
  <fullname> , an astronomer/NN at <school> , <V.discover.VBD> <comet> <when?60>
  <country> <V.plan.VBZ> to launch/VB <craft> <deadline?70>
  the telescope , named/VBN <craft> , was built/VBN by <company>
  ice/NN in <place> is/VBZ melting/VBG faster/RBR than in the <decade>
  <comet> will pass/VB the earth/NN in <late-year>
  an engineer/NN at <company> <V.design.VBD> the <craft>

travel:
  2* the <N.ship.NN> <ship> <V.sink.VBD> off/IN <place> <when?60> <toll?45>
  2* <company> <V.cancel.VBD> flights/NNS to <city> <when?60>
  2* <titled> <V.fly.VBD> to <city> aboard the <ship>
  <num> <demonym> tourists/NNS <V.visit.VBD> <place> <when>
  the road/NN from <city> to <city> was closed/VBN <when?70>
  a flight/NN from <city> to <city> was delayed/VBN <when?55>
  the ferry/NN <ship> <V.leave.VBD> <city> <when?70> with <num> passengers/NNS on board/NN
  <building> was closed/VBN to visitors/NNS <when?60>
  the captain/NN of the <ship> , <fullname> , was <V.arrest.VBN> <where?55>

history:
  2* <city> <V.become.VBD> part/NN of <country> in <year>
  2* <fullname> <V.found.VBD> <org> <when>
  2* <country> <V.gain.VBD> independence/NN from <country> in <year>
  the <war-the> <V.end.VBD> <when>
  2* <person> <V.rule.VBD> <country> <spell>
  the <treaty> , signed/VBN in <year> , <V.end.VBD> the <war-the>
  <num-large> <people-noun> died in <event-war>
  <ship> was sunk/VBN during <event-war>
  2* <city> was founded/VBN in the <century> by <people>
  <building> was destroyed/VBN in <event-war>

fact:
  3* <country> is/VBZ a <size> country/NN in <region>
  2* <area> <V.lie.VBZ> between <country> and <country>
  2* the population/NN of <area> was <bignum> in <year>
  <country> <V.become.VBD> independent/JJ in <year>
  the <river> <V.flow.VBZ> through <country> and <country>
  agriculture <V.account.VBZ> for <percent> of <country> 's exports
  <city> , <country> , has/VBZ <bignum> inhabitants/NNS
  <area> 's main industries/NNS are/VBP <N.industry.NN> and tourism
  the main exports/NNS are/VBP <N.goods.NN> and <N.goods.NN>
  the <N.area.NN> <V.depend.VBZ> on <N.goods.NN>
  <people> make/VBP up/RP <percent> of the population/NN

size:
  small
  landlocked
  poor
  large

# ------------------------------------------------------------------ quotes

quote:
  3* <quote-plain>
  2* we/PRP will not leave/VB <place>
  <country> must <V.withdraw.VB> from <place>
  we/PRP have/VBP no/DT quarrel/NN with <people>
  I/PRP never/RB met/VBD <person-short>
  <core>
  the <adj?25> <N.war.NN> will end/VB <deadline>
  nobody at <org> told/VBD us/PRP
  this is/VBZ good/JJ for <place>

quote-plain:
  we/PRP did not expect/VB this
  it is/VBZ too early/JJ to say/VB what/WP happened/VBD
  nobody is/VBZ above/IN the law
  the water came/VBD up/RP to the roof/NN
  there is/VBZ no/DT other way/NN
  I/PRP saw/VBD smoke/NN and heard/VBD people shouting/VBG
  prices/NNS are/VBP too high/JJ for ordinary/JJ families/NNS
  we/PRP are/VBP ready/JJ to talk/VB

# ------------------------------------------------------------------ without names

plain-sentence:
  4* <plain> .
  5* <plain> <plain-aside> .
  3* <plain> , but <plain> .
  2* <plain> , <plain-subject> said .
  3* <plain-subject> <say> <plain> .
  " <quote-plain> , " the <N.role.NN> said .
  2* meanwhile , <plain> <plain-aside?50> .

plain-aside:
  2* , in a sign of growing/JJ tension
  2* , dealing/VBG a blow to the government
  2* , although <plain-subject> had promised/VBN more/JJR aid
  , according to the <N.role.NN>
  , <plain-subject> said <when-not?60>
  , raising/VBG hopes/NNS of a <adj?40> deal/NN
  amid rising/VBG <N.goods.NN> prices
  , to the surprise/NN of many <people-noun>
  , <num-word> <units> after the <adj?40> <N.vote.NN>

plain:
  4* <plain-subject> <V.reject.VBD> the <adj?25> <N.plan.NN> <when-not?60>
  3* <plain-subject> <V.call-for.VBD> an end to the <adj?25> <N.crisis.NN>
  3* the <adj?25> <N.attack.NN> <V.kill.VBD> <num> <people-noun> <where-not?70>
  2* <num> <people-noun> were <V.injure.VBN> in the <adj?25> <N.accident.NN> <when-not?70>
  2* the <adj?25> <N.vote.NN> was <V.delay.VBN> because of <plain-reason>
  2* <plain-subject> <V.arrest.VBD> <num> <people-noun> <where-not?70> <when-not?55>
  2* a <N.bomb.NN> <V.explode.VBD> <where-not> <when-not?60> , but no/DT one/NN was hurt/VBN
  2* <N.goods.NN> prices <V.rise.VBD> <percent> <when-not?70> because of <plain-reason>
  2* <plain-subject> said the cause/NN of the <adj?25> <N.accident.NN> was not known/VBN
  2* the <N.plant.NN> will be/VB closed/VBN <plain-deadline>
  <capital-common> <V.suffer.VBD> because of <plain-reason>
  2* <capital-common> <V.worry.VBP> many <people-noun>
  none/NN of the <people-noun> was hurt/VBN <when-not?55>
  none/NN of the <num-word> <N.plan.NNS> was <V.accept.VBN>
  the <N.role.NN> declined/VBD to comment/VB on the <adj?25> <N.scandal.NN>
  no group/NN has said it was behind/IN the <N.attack.NN>
  there/EX were no/DT reports/NNS of damage/NN <where-not?60>
  <num> <N.soldier.NNS> are/VBP still/RB missing/VBG <where-not?60>
  it was the <ordinal> <N.attack.NN> in as/RB many <units>
  <plain-subject> will <V.meet-alone.VB> again/RB <plain-deadline>
  rescuers/NNS dug/VBD through/IN mud/NN for survivors/NNS <where-not?60>
  the company/NN , which <V.make.VBZ> <N.product.NNS> , <V.cut-jobs.VBD> <num> jobs
  the storm/NN may/MD reach/VB the coast/NN <plain-deadline>
  the <N.text.NN> did not say/VB how/WRB many <people-noun> had died/VBN
  Muslim/JJ and Christian/JJ leaders/NNS prayed/VBD together/RB <where-not?60>
  the Internet/NNP and TV/NN have/VBP changed/VBN how/WRB young/JJ people vote/VBP

plain-subject:
  4* the <N.role.NN>
  3* the government
  2* police
  2* <N.official.NNS>
  the opposition
  lawmakers
  <num-word> <N.official.NNS>
  the army
  both/DT sides

plain-reason:
  bad/JJ weather/NN
  the <adj?25> <N.crisis.NN>
  heavy/JJ rain
  fears/NNS of violence/NN
  a shortage/NN of <N.goods.NN>
  a strike by <N.worker.NNS>

plain-deadline:
  next/JJ week
  next/JJ month
  soon/RB
  within <num-word> <units>
  before the <adj?25> <N.vote.NN>

capital-common:
  rice prices/NNS
  power/NN cuts/NNS
  banks/NNS
  rivers/NNS
  price/NN rises/NNS
  stone/NN throwers/NNS
  young/JJ voters/NNS
  green/JJ energy/NN projects/NNS
  winter/NN storms/NNS
  hunters/NNS
  law/NN students/NNS
  gold/NN miners/NNS
  church/NN leaders/NNS
  court/NN delays/NNS
  summer/NN droughts/NNS
  oil/NN spills/NNS
  storm/NN warnings/NNS
  park/NN rangers/NNS
  house/NN prices/NNS
  early/JJ frosts/NNS
  street/NN markets/NNS
  water/NN shortages/NNS
  university/NN fees/NNS
  shell/NN fire/NN
  bush/NN fires/NNS
  frost/NN and snow/NN
  justice/NN reforms/NNS
  hope/NN and fear/NN
  chance/NN meetings/NNS
  long/JJ delays/NNS
  black/JJ markets/NNS
  march/NN organizers/NNS
  target/NN dates/NNS
  total/JJ losses/NNS

short:
  3* <person-short> <V.decline.VBD> to comment/VB
  2* nobody in <city> was hurt/VBN
  2* <person-short> <V.deny.VBZ> the charges/NNS
  the <adj?25> <N.vote.NN> is/VBZ <when>
  <org> had no/DT comment/NN
  <country> has not responded/VBN
  it happened/VBD <where>
  they/PRP fled/VBD to <place>
  the victim/NN was <num-age>
  polls/NNS close/VBP <day>
  <person-short> <V.agree-alone.VBD>
  talks <V.fail.VBD>
  <city> is/VBZ calm/JJ
  the strike <V.end.VBD> <day>
  <person-short> denied/VBD it
  she/PRP grew/VBD up/RP in <place>

title-start:
  the <N.head.NN> of <org> , <fullname> , <V.resign.VBD> <when?70>
  president/NN since <year> , <person-short> <V.reject.VBD> <proposal>
  police/NNS in <place> said <core>
  mayors/NNS from <country> and <country> <V.gather.VBD> in <city>
  none/NN of the <N.official.NNS> from <org> would/MD comment/VB
  none/NN of the victims was from <place>
  the general/NN said <core>
  the <nbsp-measure> wall/NN around/IN <place> was begun/VBN <when>
  waves/NNS of <nbsp-measure> hit/VBD <place> when/WRB <storm-bare> came/VBD ashore/RB
  may/MD <person-short> rest/VB in peace/NN , said <N.supporter.NNS> in <city>

list-sentence:
  2* the <adj?25> <N.talks.NN> included/VBD <country> , <country> , <country> and <country>
  the others/NNS are/VBP <country> , <country> and <country>
  flights/NNS to <city> , <city> and <city> were canceled/VBN <when?60>
  the panel/NN included/VBD <fullname> , <fullname> and <fullname>
  <company> , <company> and <company> <V.sign.VBD> the <treaty>
  <N.soldier.NNS> from <country> , <country> and <country> took/VBD part/NN in <event-operation>
  the victims were from <city> , <city> , <city> and <place>
  among/IN the winners/NNS were <fullname> , <fullname> and <fullname> ( <country> )
  the club/NN has players/NNS from <country> , <country> and <country>

question-like:
  2* asked/VBN about <org> , <person-short> <V.tell-alone.VBD> that <core>
  it is/VBZ not clear/JJ if/IN <someone> will <inf-politics>
  it was not the first/JJ time/NN that <someone> <V.criticize.VBD> <power>
  whether/IN <company> will <inf-business> is/VBZ not known/VBN
  born/VBN in <place> , <fullname> <V.join.VBD> <org> in <year>
  founded/VBN in <year> , <org> has offices/NNS in <city> and <city>
  speaking/VBG in <city> , <person> <V.call-for.VBD> <measure>
  led/VBN by <fullname> , <club> <V.beat.VBD> <club> <score>
  wounded/VBN in <place> , <surname-only> was flown/VBN to <city>
  long/RB known/VBN as a <profession> , <fullname> now/RB <V.lead.VBZ> <party>

# Contexts that say nothing about the kind of name.
vague-sentence:
  2* <unclear> was in the news/NN again/RB <when?55> <aside?50> .
  people still/RB talk/VBP about <unclear> <where?50> .
  then/RB came/VBD <unclear> and <unclear> .
  for many , it all/DT began/VBD with <unclear> <when?50> .
  not everyone/NN likes/VBZ <unclear> .
  <person-short> would/MD not talk/VB about <unclear> <when-said?50> .
  <N.official.NNS> blame/VBP <unclear> for the <adj?25> <N.crisis.NN> <where?60> .

# ------------------------------------------------------------------ names of people

fullname = per:
  <full-name>

surname-only = per:
  <last>

first-name = per:
  <first>

titled = per:
  5* <L.state-titles> <full-name>
  3* <L.state-titles> <last>
  4* <L.office-titles> <full-name>
  <L.office-titles> <last>
  <L.office-titles> <shared-last>
  King <first>

pope = per:
  Pope <first> <L.numerals>

person:
  25* <fullname>
  12* <titled>
  6* <courtesy>

person-short:
  5* <courtesy>
  5* <surname-only>
  <titled>

courtesy = per:
  5* <L.courtesy-titles> <last>
  2* <L.courtesy-titles> <shared-last>
  <L.courtesy-titles> <full-name>

profession:
  <L.professions>

# ------------------------------------------------------------------ names of places

city = geo:
  <city-name>

place:
  9* <city>
  6* <country>
  2* <region>
  2* <terrain>
  2* <city-country>

area:
  3* <country>
  3* <city>
  2* <region-bare>
  <terrain-bare>

region:
  3* <region-bare>
  2* the <region-the>

region-bare = geo:
  <L.regions>

region-the = geo:
  <L.the-regions>

terrain:
  <terrain-bare>
  the <terrain-the>

terrain-bare = geo:
  4* <L.place-before> <city-name>
  2* Lake <last>
  2* Mount <last>
  2* San <first>
  <city-name> City
  2* <city-name> <L.place-after>

terrain-the = geo:
  5* <city-name> <L.the-place-after>
  2* Gulf of <city-name>
  Strait of <city-name>
  <last> Islands
  <last> River
  Republic of <country-name>
  Sea of <city-name>

river = geo:
  2* <L.rivers>
  2* <L.rivers> River
  <city-name> River

land = geo:
  3* <country-name>
  2* <city-name>
  <L.regions>

demonym = gpe:
  <adjective>

people = gpe:
  <people-name>

# ------------------------------------------------------------------ names of organisations

org:
  6* <org-body>
  4* <company>
  2* the <agency>
  2* <party>
  <group>
  <bank>
  <school>
  <charity>
  <media>
  2* the <ministry>
  <with-acronym>

org-body:
  3* <body-org>
  4* the <body-the>

body-org = org:
  <L.bodies>

body-the = org:
  <L.the-bodies>

org-court:
  2* the <court-name>
  the <demonym> <court-name>
  <city> 's <court-name>

court-name = org:
  2* Supreme Court
  2* Constitutional Court
  High Court of <city-name>
  <city-name> District Court
  Court of Appeal
  Court of Arbitration

company = org:
  4* <L.companies>
  5* <coined>
  4* <coined> <L.company-forms>
  3* <last> <L.company-forms>
  3* <city-name> <L.trades>
  2* <last> & <last>
  4* <last>
  <shared-last> <L.trades>
  2* <adjective> <L.trades>
  <last> Brothers
  <shared-last> & <last>
  <last> , <last> & <last>

bank:
  3* the <bank-the>
  <bank-bare>

bank-the = org:
  4* Bank of <city-name>
  2* Bank of <country-name>
  National Bank of <country-name>
  <adjective> Development Bank

bank-bare = org:
  <city-name> Savings Bank
  First <city-name> Bank
  <last> Bank

ministry = org:
  4* <L.domains> Ministry
  3* Foreign Ministry
  2* Ministry of <L.domains>
  2* Ministry of <L.domains> and <L.domains>
  Department of <L.domains>
  Ministry for <L.causes>

agency = org:
  4* <L.causes> <L.agency-nouns>
  2* National <L.causes> <L.agency-nouns>
  2* <adjective> <L.causes> <L.agency-nouns>
  <L.agency-nouns> on <L.causes>
  <L.agency-nouns> for <L.causes> and <L.domains>
  <city-name> <L.domains> <L.agency-nouns>
  International <L.causes> <L.agency-nouns>

party:
  the <party-name>

party-name = org:
  5* <L.party-adjectives> <L.party-nouns>
  2* <L.party-adjectives> <L.party-ideas> <L.party-nouns>
  2* <L.party-nouns> for <L.party-ideas>
  <L.party-ideas> and <L.party-ideas> Party
  <adjective> <L.party-adjectives> <L.party-nouns>
  Movement of <city-name>
  <last> Bloc

group:
  2* the <group-the>
  <group-bare>

group-name:
  2* <group-the>
  <group-bare>

group-the = org:
  3* <L.party-ideas> <L.armed-nouns>
  2* <city-name> <L.armed-nouns>
  2* Army of <L.party-ideas>
  <adjective> Liberation Army
  <last> Brigades
  <L.months> <month-day> Movement

group-bare = org:
  2* <L.groups>
  2* <al-name>
  Sword of <L.party-ideas>

media:
  3* the <paper-name>
  2* <station-name>

paper-name = org:
  4* <city-name> <L.media-nouns>
  <country-name> <L.media-nouns>
  <L.media-nouns> of <city-name>
  <adjective> News Agency

station-name = org:
  2* <L.stations>
  Radio <city-name>
  <coined> TV
  Channel <digit>

club = org:
  5* <city-name>
  5* <city-name> <L.club-nouns>
  FC <city-name>
  Real <city-name>
  <last> <L.club-nouns>

school:
  2* the <school-the>
  3* <school-bare>

school-the = org:
  4* University of <city-name>
  University of <region-name>
  <last> Institute of Technology

school-bare = org:
  3* <city-name> <L.schools>
  2* <last> <L.schools>
  <shared-last> College
  <city-name> State University

hospital = org:
  3* <city-name> General Hospital
  2* <last> Hospital
  Saint <first> Hospital
  <last> Memorial Hospital

charity:
  the <charity-name>

charity-name = org:
  5* <last> <L.charity-nouns>
  2* <full-name> <L.charity-nouns>
  2* <shared-last> <L.charity-nouns>
  <L.charity-nouns> of <city-name>
  <adjective> Red Cross
  Friends of <city-name>

# ------------------------------------------------------------------ names of works and things

art-title = art:
  3* The <L.title-adjectives> <L.title-nouns>
  2* <L.title-adjectives> <L.title-nouns>
  2* The <L.title-nouns> of <city-name>
  2* A <L.title-nouns> in <L.months>
  2* <city-name> <L.title-nouns>
  The <L.title-nouns> and the <L.title-nouns>
  Letters to <first>
  <first> 's <L.title-nouns>
  <last>
  <shared-last>
  Return to <city-name>
  The <last> <L.title-nouns>

craft = art:
  3* <craft-number>
  2* <L.craft-names>
  2* <L.craft-names> <L.numerals>
  <last> Space Telescope
  <letter-code>

ship = art:
  3* <first>
  2* <L.craft-names>
  2* Queen <first>
  2* <city-name> Star
  USS <last>
  <L.title-adjectives> <L.title-nouns>
  Spirit of <city-name>

award = art:
  3* <last> <L.awards>
  2* <city-name> <L.awards>
  Nobel Prize
  <full-name> Award
  Golden <L.title-nouns> Award

building:
  the <building-name>

building-name = art:
  3* <city-name> <L.buildings>
  2* <last> <L.buildings>
  <shared-last> <L.buildings>
  <L.title-nouns> <L.buildings>

treaty = art:
  3* <city-name> <L.treaty-nouns>
  2* Treaty of <city-name>
  <L.causes> <L.treaty-nouns>
  <last> Act

# ------------------------------------------------------------------ names of events

event:
  2* <event-war>
  <event-sport>
  4* <event-festival>

event-war:
  2* <war-bare>
  <the-known-war>
  3* the <war-the>

war-bare = eve:
  2* <L.known-wars>
  <event-operation-name>

the-known-war:
  the <known-war>

known-war = eve:
  <L.the-wars>

war-the = eve:
  4* Battle of <city-name>
  2* Siege of <city-name>
  2* <L.revolutions> Revolution
  2* <adjective> Civil War
  <city-name> Uprising
  <adjective> War of Independence
  <city-name> War

event-operation = eve:
  <event-operation-name>

event-operation-name:
  Operation <L.operation-words> <L.operation-words>
  Operation <L.operation-words>

event-sport:
  the <sport-name>

sport-name = eve:
  4* <city-name> <L.sport-events>
  3* <adjective> <L.sport-events>
  2* <L.known-games>
  <last> <L.sport-events>
  <year-number> <L.known-games>
  <year-number> <city-name> <L.known-games>

event-festival:
  3* <festival-bare>
  2* the <festival-the>

festival-bare = eve:
  <L.holidays>

festival-the = eve:
  3* <city-name> <L.fairs>
  2* Feast of Saint <first>
  <adjective> <L.fairs>
  <last> <L.fairs>

# ------------------------------------------------------------------ names in nature

storm = nat:
  3* <L.storm-kinds> <L.storm-names>
  <L.storm-names>

storm-bare = nat:
  3* <L.storm-names>
  <L.storm-kinds> <L.storm-names>

illness = nat:
  3* <L.illnesses>
  3* <city-name> <L.illness-nouns>
  2* <strain>
  <last> <L.illness-nouns>

comet = nat:
  2* Comet <last>
  Asteroid <last>

# ------------------------------------------------------------------ times

day = tim:
  9* <L.weekdays>
  2* <L.weekdays> <L.day-parts>

month = tim:
  <L.months>

middle-of-month = tim:
  <mid-month>

month-year = tim:
  <L.months> <year-number>

year = tim:
  <year-number>

date = tim:
  3* <L.months> <month-day>
  2* <L.months> <month-day> , <year-number>
  <L.weekdays> , <L.months> <month-day>

late-year = tim:
  <late-year-number>

decade = tim:
  <decade-number>

century = tim:
  <century-ordinal> century

# ------------------------------------------------------------------ a name whose kind is unclear

unclear:
  4* <surname-only>
  4* <city>
  3* <bare-company>
  <country>
  <storm-bare>

bare-company = org:
  2* <coined>
  <last>
"""

# Verbs by what they do, in the base form.
VERBS = {
    "accept": "accept approve back adopt",
    "account": "account",
    "accuse": "accuse suspect",
    "acquit": "acquit release free",
    "adjourn": "adjourn postpone suspend",
    "agree": "declare accept break",
    "agree-alone": "agree object resign apologize win lose",
    "announce": "announce propose unveil withdraw present",
    "appeal": "appeal welcome criticize",
    "appoint": "appoint elect name",
    "approach": "approach near",
    "arm": "arm finance shelter train hide",
    "arrest": "arrest detain question hold",
    "arrive": "arrive land",
    "attack": "attack raid storm shell ambush target strike overrun",
    "ban": "ban outlaw halt",
    "beat": "beat defeat overcome crush",
    "become": "become",
    "begin": "begin start open resume",
    "blame": "blame",
    "block": "block stop delay",
    "bomb": "bomb hit shell pound",
    "border": "border",
    "bribe": "bribe threaten deceive",
    "build": "build open design finish",
    "buy": "buy acquire sell want",
    "call": "call name",
    "call-for": "demand urge seek want promise",
    "cancel": "cancel suspend resume cut",
    "capture": "capture kill arrest wound",
    "celebrate": "celebrate mark observe enjoy",
    "change": "change amend rewrite",
    "claim": "claim warn announce insist argue admit complain confirm",
    "claim-resp": "claim deny accept",
    "close": "close reopen rebuild lose",
    "compete": "compete",
    "convict": "convict accuse clear",
    "crash": "crash overturn",
    "criticize": "criticize condemn praise denounce rebuke mock",
    "cross": "cross pour move",
    "cut": "cut reduce raise lower",
    "cut-jobs": "cut eliminate create promise",
    "decline": "decline refuse",
    "delay": "delay postpone cancel disrupt",
    "deny": "deny dispute admit",
    "depend": "depend",
    "design": "design build",
    "destroy": "destroy damage",
    "develop": "develop patent",
    "discover": "discover photograph",
    "dismiss": "dismiss sack replace",
    "drive": "drive force",
    "drown": "drown kill",
    "elect": "elect reject re-elect choose",
    "end": "end start",
    "erupt": "erupt resume continue",
    "escape": "escape surrender vanish",
    "expect": "expect want",
    "explode": "explode detonate",
    "extend": "extend end renew",
    "fail": "fail collapse continue end resume",
    "fall": "fall drop rise slump",
    "find": "find discover",
    "fine": "fine",
    "finish": "finish",
    "fire": "fire launch aim",
    "flee": "flee leave abandon",
    "flow": "flow run",
    "fly": "fly travel",
    "found": "found join leave lead",
    "gain": "gain win",
    "gather": "gather assemble meet",
    "give": "give",
    "grow": "grow shrink expand",
    "grow-up": "live work study",
    "harass": "harass expel detain",
    "help": "help feed support",
    "hire": "hire need recruit",
    "hit": "hit strike batter lash devastate",
    "honor": "honor present",
    "ignore": "ignore violate break breach",
    "infect": "infect kill",
    "injure": "injure hurt",
    "jail": "jail detain expel torture",
    "join": "join leave rejoin",
    "kidnap": "kidnap seize free release",
    "kill": "kill wound injure",
    "launch": "launch lose test",
    "lead": "lead head command",
    "leave": "leave reach",
    "lend": "lend give owe offer",
    "lie": "lie",
    "link": "link",
    "live": "live work",
    "make": "make sell produce export",
    "march": "march walk parade",
    "meet": "meet praise thank telephone greet host",
    "meet-alone": "meet vote gather",
    "miss": "miss",
    "move": "move drift turn",
    "name": "name appoint",
    "need": "need lack",
    "open": "open",
    "oppose": "oppose support reject block",
    "order": "order force",
    "outlaw": "outlaw recognize invite",
    "owe": "owe",
    "pardon": "pardon free",
    "plan": "plan want hope refuse promise",
    "play": "play",
    "plead": "plead",
    "please": "please anger surprise worry alarm",
    "plot": "plot plan conspire",
    "praise": "praise criticize defend",
    "produce": "produce export import",
    "protest": "protest demonstrate march",
    "publish": "publish print translate withdraw",
    "pull": "withdraw recall",
    "raise": "raise invest borrow",
    "reach": "reach leave",
    "receive": "receive decline win",
    "recognize": "recognize topple support",
    "reject": "reject welcome accept dismiss oppose support denounce",
    "release": "release publish broadcast",
    "reopen": "reopen burn collapse close",
    "reopen-for": "open close guard",
    "report": "report announce post",
    "resign": "resign retire",
    "resume": "resume hold postpone",
    "rise": "rise fall drop jump climb",
    "rule": "rule govern lead",
    "search": "search drill",
    "seize": "seize hijack find",
    "sell": "sell",
    "send": "send deploy",
    "sentence": "sentence",
    "shake": "shake strike rock hit",
    "shoot": "shoot",
    "sign": "sign",
    "sing": "sing perform",
    "sink": "sink capsize",
    "slaughter": "slaughter kill cull",
    "smuggle": "smuggle ship",
    "speak": "speak understand",
    "spy": "spy work",
    "steal": "steal take demand",
    "stop": "stop cut halt",
    "strike": "strike march",
    "sue": "sue investigate fine",
    "suffer": "suffer increase return end",
    "summon": "summon expel invite",
    "support": "support back oppose trust",
    "teach": "teach study work",
    "tell-alone": "reply insist explain repeat joke argue",
    "treat": "treat examine",
    "visit": "visit tour leave reach",
    "vote": "vote refuse decide",
    "want": "want oppose fear promise",
    "weaken": "weaken strengthen slow",
    "win": "win lose",
    "withdraw": "withdraw retreat",
    "worry": "worry anger scare",
    "worsen": "worsen improve cool",
    "wound": "wound injure",
}

NOUNS = {
    "accident": "accident crash collision explosion stampede derailment",
    "area": "area region district province valley coast island",
    "attack": "attack bombing raid ambush clash shooting assault blast",
    "bomb": "bomb grenade mine car_bomb rocket device suicide_bomber missile",
    "building": (
        "school mosque hotel market police_station church warehouse "
        "restaurant barracks hospital bank house"
    ),
    "charge": "fraud murder terrorism corruption perjury espionage rape arson",
    "crisis": "crisis dispute violence unrest shortage standoff famine deadlock",
    "drug": "heroin cocaine opium hashish ivory",
    "fighter": "militant rebel insurgent gunman guerrilla extremist fighter separatist",
    "fossil": "fossil tomb ruin skeleton coin",
    "goods": "oil rice gas cotton coffee wheat copper fuel food sugar timber gold cocoa tea",
    "head": "head leader chairman director founder deputy_director secretary president",
    "industry": "oil steel energy insurance shipping software mining textile food",
    "knee": "knee shoulder back ankle hip hand",
    "law": "law bill treaty agreement resolution deal accord budget draft_constitution",
    "many": "critic observer investor voter resident neighbor",
    "official": (
        "official diplomat military_official minister aide authority commander investigator doctor"
    ),
    "panel": "panel commission cabinet court board",
    "plan": "plan proposal offer request idea deal cease-fire",
    "plane": "plane jet helicopter warplane drone",
    "plant": "plant factory refinery mine depot terminal",
    "poll": "poll survey",
    "product": "car jet engine phone tractor turbine drug truck camera ship",
    "profit": "profit loss deficit surplus",
    "role": (
        "minister rebel_leader commander president opposition_leader "
        "general mayor judge union_leader"
    ),
    "round": "final semifinal quarterfinal",
    "scandal": "scandal affair disgrace bribery_case vote-buying_affair",
    "ship": "ship tanker freighter frigate trawler yacht submarine",
    "soldier": "soldier troop policeman peacekeeper marine commando guard",
    "suburb": "suburb district neighborhood",
    "supply": "tent blanket medicine food_parcel vaccine",
    "supporter": "supporter relative colleague opponent follower critic",
    "talks": "meeting summit conference negotiation ceremony",
    "text": "statement report letter study speech message broadcast",
    "vehicle": "bus train helicopter plane truck minibus cargo_plane",
    "vote": "vote election referendum ballot poll",
    "war": "war conflict fighting occupation",
    "witness": "witness resident survivor neighbor",
    "worker": "worker miner driver teacher doctor docker nurse farmer",
}

# The parts of speech of the words above, unless a rule says otherwise. Words with a capital
# are NNP and those that begin with a digit CD without being listed.
PARTS_OF_SPEECH = {
    "CC": "& and but",
    "CD": "one",
    "DT": "The A a an another no the this",
    "EX": "there",
    "IN": """
        aboard about across after against along although amid as at because before between by
        despite during for from if in into near of off on per since than that through toward
        under until whether while with within without
    """,
    "JJ": """
        central crowded eastern former heavy high human international key landlocked large last
        loyal main many mountainous new northern northwestern nuclear other poor remote rival
        rural second-seeded separate small southern such western
    """,
    "JJR": "closer",
    "JJS": "highest",
    "LRB": "(",
    "MD": "can could must will would",
    "NN": """
        % afternoon agriculture aid airport ambassador appeal army attack audience author award
        blow body border boycott bus calm cancer capital case category cause cease-fire center
        century change chief city claim climate coast commander comment community company
        conference constitution convoy corruption country court cyclist deal death delegation
        detention development director district drought earthquake economy embassy employer end
        euro evening executive explosion family firm future government headquarters heart home
        incident injury interest investigation invitation law lawmaker lawyer leader level match
        member merger midfielder midnight minister missile month moon morning negotiator news
        night nobody none offer oil operation opposition orbit parliament peace penalty percent
        pianist pipeline plant pneumonia population presence president pressure prison province
        rain rate rescue responsibility rice ruling sale security setback siege sign singer
        skier something spokesman spokeswoman sprinter stake storm strike striker swimmer
        telephone telescope television tenor tension term time tourism town trial vaccine
        village volcano vote water week withdrawal year
    """,
    "NNS": """
        cases cattle charges chickens children civilians companies crops crowds customers days
        details doctors dozens ducks elections employees engineers euros exports factories
        farmers floods gunmen homes hours imports investors jobs journalists kilograms
        kilometers lawmakers migrants months offices outskirts passengers people pigs pilgrims
        pirates plans police prices prisoners refugees regulators relations reporters rights
        roads rockets sanctions seats shares sides soldiers streets students talks taxes
        thousands ties tons tourists towns victims villagers visas voters weapons weeks winds
        witnesses women workers years
    """,
    "NNP": "al- bin de la von van der",
    "POS": "'s '",
    "PRP": "he I it she they we",
    "RB": (
        "again ago ahead also earlier meanwhile n't not "
        "once overnight shortly still then together too"
    ),
    "RRB": ")",
    "TO": "to",
    "VB": "be",
    "VBD": "added denied did died had said told was were",
    "VBG": "according",
    "VBP": "have",
    "VBZ": "has",
    "WDT": "which",
    "WP": "who",
    "``": '"',
    ".": ".",
    ",": ",",
    ":": ": ; -- –",
}
POS_OF = {
    **dict.fromkeys(PROFESSIONS, "NN"),
    **{word: pos for pos, text in PARTS_OF_SPEECH.items() for word in text.split()},
}

# --- inflection: what the rules of make_corpus.py would get wrong --------------------------

# Past and past participle.
IRREGULAR_VERBS = {
    base: (past, participle)
    for base, past, participle in (
        line.split()
        for line in """
            beat beat beaten
            become became become
            begin began begun
            break broke broken
            broadcast broadcast broadcast
            build built built
            buy bought bought
            choose chose chosen
            cut cut cut
            drive drove driven
            fall fell fallen
            feed fed fed
            find found found
            flee fled fled
            fly flew flown
            give gave given
            grow grew grown
            hide hid hidden
            hit hit hit
            hold held held
            hurt hurt hurt
            lead led led
            leave left left
            lend lent lent
            lie lay lain
            lose lost lost
            make made made
            meet met met
            overcome overcame overcome
            overrun overran overrun
            rewrite rewrote rewritten
            rise rose risen
            rebuild rebuilt rebuilt
            run ran run
            seek sought sought
            sell sold sold
            send sent sent
            shake shook shaken
            shoot shot shot
            shrink shrank shrunk
            sing sang sung
            sink sank sunk
            speak spoke spoken
            steal stole stolen
            strike struck struck
            take took taken
            teach taught taught
            understand understood understood
            win won won
            withdraw withdrew withdrawn
        """.strip().splitlines()
    )
}
DOUBLED = words("acquit admit ban begin cut drop expel hit kidnap plan plot run ship stop win")
IRREGULAR_PLURALS = {
    "barracks": "barracks",
    "gunman": "gunmen",
    "policeman": "policemen",
    "spokesman": "spokesmen",
}
# What comes after "an" rather than "a".
TAKES_AN = r"(?!Eu|eu|[Uu]ni|U[A-Z.kg]|one\b)[aeiouAEIOUÁÉÅØ]|hour|8|11\b|18\b"

DIGITS = ("1", "2", "3", "4", "5")
