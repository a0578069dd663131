"""Words that say nothing about a topic: function words of big languages, and the small talk of social media.

Compiled for drumbeat, as one set for all languages, since short posts seldom say which language they are in. A function word of
one language that is a topic word of another (German `war`, `die`, `man`; French `son`; Spanish `sin`) is left out on purpose.
Written as `streams.text.normalise` leaves them; words of one or two letters are no keywords anyway. Apostrophes separate words,
hence `don`, `isn`, `ll`; `won` is not here, because of who won.
"""

from __future__ import annotations

_LISTS = {
    "en": """
about above after again against ain all almost along already also although always among and another any anybody anyone
anything anyway anywhere are aren around away back because been before being below between both but came can cannot
cant come comes coming could couldn couldnt did didn didnt does doesn doesnt doing don done dont down during each
either else enough etc even ever every everybody everyone everything everywhere few first for from further gave get
gets getting give gives given giving goes going gone gonna got gotta had hadn happen happened happens has hasn hasnt
have haven havent having hence her here hers herself him himself his how however into isn isnt its itself ive just
keep keeps kind knew know known knows last later least less let lets like liked likes little lot lots made make makes
making many may maybe mean means might mine more most much must myself need needs neither never next nobody none nor
not nothing now nowhere off often okay once one only onto other others otherwise ought our ours ourselves out over own
perhaps please pretty put quite rather really said same saw say saying says see seem seems seen several shall she
should shouldn shouldnt since some somebody someone something sometimes somewhere soon still such sure take taken
takes taking tell than thank thanks that thats the their theirs them themselves then there theres these they theyre
thing things think this those though thought through thru thus till together told too took toward towards tried try
trying two under unless until upon use used using usually very via wanna want wanted wants was wasn wasnt way ways
well went were weren what whatever whats when whenever where wherever whether which while who whoever whole whom whose
why will with within without wont would wouldn wouldnt yeah yes yet you youre your yours yourself yourselves
""",
    "social": """
amp apos com follow followed follower followers following haha hahaha hahah http https idk ikr ily ima imma lmao lmfao
lol nbsp nope omg omfg plz pls ppl quot retweet rofl smh thx til tho thru ttyl tweet tweets tweeting ugh wtf www yall
yea yep yup bsky
""",
    "es": """
algo alguien algun alguna algunas alguno algunos algún allá allí ante antes aquel aquella aquellas aquello aquellos
aquí así aun aunque aún bajo bien cada casi como cómo con contra cual cuales cualquier cuando cuándo cuanto cuánto del
desde despues después donde dónde durante ella ellas ellos entonces entre eran eras eres esa esas ese eso esos esta
estaba estaban estado estamos estan estar estas este esto estos estoy está están fue fueron fui había habían hace
hacen hacer hacia han hasta hay haya hoy las les los luego mas más mejor menos mi mientras mis misma mismo mucha
muchas mucho muchos muy nada nadie ninguna ninguno nos nosotros nuestra nuestras nuestro nuestros nunca otra otras
otro otros para pero poco por porque porqué pues puede pueden puedo que quien quienes quiere quiero quién qué sea sean
según ser será sido siempre siendo sobre somos son soy sus suya suyo tal también tambien tampoco tan tanto tener tengo
tiene tienen toda todas todavía todo todos tus tuyo una unas uno unos usted ustedes vamos van varios voy vez vos
vosotros yo
""",
    "pt": """
acho agora ainda algo alguém algum alguma algumas alguns ali ambos antes ao aos apenas aquela aquelas aquele aqueles
aquilo aqui as assim até bem cada coisa com como contra da daquele das de dela delas dele deles depois desde dessa
desse desta deste disso do dos ela elas ele eles em embora enquanto então entre era eram és essa essas esse esses esta
estamos estar estas estava estavam este estes está estão estou eu fazer faz fez foi fomos for foram fosse há hoje isso
isto já lá lhe lhes mais mas me mesma mesmo meu meus minha minhas muita muitas muito muitos na nada não nas nem nenhum
nenhuma ninguém nos nossa nossas nosso nossos num numa nunca nós onde os ou outra outras outro outros para pela pelas
pelo pelos pode podem pois por porque pra pro qual quais qualquer quando quanto que quem quer quê sabe se seja sem
sempre sendo ser será seu seus sido sim sobre sou sua suas também tão tem tenha tenho ter teu teus tinha toda todas
todo todos tua tudo têm um uma umas uns vai vamos vão você vocês vou vezes
""",
    "fr": """
afin ainsi alors après assez aucun aucune aujourd aurait aussi autre autres aux avaient avait avant avec avez avoir
avons beaucoup bien car cela celle celles celui ces cet cette ceux chaque chez comme comment contre dans depuis des
dessous dessus deux devant doit donc dont du elle elles encore entre est étaient était êtes être eux fait faire faut
font hors ici ils jamais jusqu juste leur leurs lors lorsque lui mais malgré même mêmes mes mieux moi moins mon ne ni
non nos notre nous on ont ou où oui par parce parmi pas pendant peu peut peux plus plusieurs pour pourquoi pouvoir
presque puis quand que quel quelle quelles quelque quelques quels qui quoi rien sans sauf selon sera serait ses
seulement si soit sommes sont sous suis sur tandis tant tel telle tes toi ton tous tout toute toutes très trop une
vers veut voici voilà voir vos votre vous vrai vraiment été
""",
    "de": """
aber alle allem allen aller alles als also ander andere anderen anderer anderes auch auf aus bei beim bevor bin bis
bist bitte bleibt da dabei dadurch dafür dagegen daher damit danach daran darauf daraus darf darum darüber das dass
dazu daß dein deine deinem deinen deiner dem den denen denn dennoch der deren derer des deshalb dessen dich dies diese
diesem diesen dieser dieses dir doch dort du durch dürfen eben ein eine einem einen einer eines einfach einige einmal
er erst es etwas euch euer eure für gab gar geht genau gerade gibt habe haben habt hast hat hatte hatten hätte hier
hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer immer ist jede jedem jeden jeder jedes jedoch jemand jetzt kann
kannst kein keine keinem keinen keiner können könnte machen macht mal mehr mein meine meinem meinen meiner mich mir
mit möchte muss müssen muß nach nachdem neben nein nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem
seinen seiner seit selbst sich sie sind so sogar solche soll sollen sollte sondern sonst über um und uns unser unsere
unter viel viele vom von vor wann waren warum weil weiter welche welcher wenn wer werde werden wie wieder wieso will
wir wird wirklich wirst wo wollen wurde wurden während würde würden zu zum zur zwar zwischen
""",
    "it": """
abbia abbiamo adesso agli alcuna alcune alcuni alcuno alla alle allo allora altra altre altri altro anche ancora avere
aveva avevano bene che chi ci ciò coi col come con contro così cui dagli dai dal dalla dalle dallo degli dei del della
delle dello dentro deve dopo dove due dunque ecco era erano essere fare fino fra fuori gia già gli hai hanno ho il in
infatti invece io la le lei li lo loro lui ma mai meglio meno mentre mia mie miei mio molta molte molti molto ne nei
negli nel nella nelle nello nessun nessuna nessuno niente noi non nostra nostre nostri nostro nulla ogni ognuno oggi
oltre oppure ora per perché perche però più piu poco poi possono prima proprio può puo qual quale quali qualche
qualcosa qualcuno quando quanta quante quanti quanto quasi quella quelle quelli quello questa queste questi questo qui
quindi sarà sei sempre senza sia siamo siete solo sono sopra sotto sta stai stanno stata state stati stato stesso sto
sua sue sugli sui sul sulla sulle suo suoi tanto tra tua tue tuo tuoi tutta tutte tutti tutto una uno vai verso via
voi volta vostra vostro
""",
    "nl": """
aan alleen alles als altijd andere bent bij daar daarom dan dat deze dit doch doen door dus een eens elke erg ergens
gaan gaat geen geweest gewoon had hadden hebben hebt heb heeft heel hem het hier hoe hun iemand iets ieder iedereen
jij jou jouw jullie kan kon kunnen maar meer mensen met mij mijn moet moeten naar niet niets nog omdat ondanks onder
ons onze ook over reeds sinds straks tegen toch toen tot uit uw van vandaag veel voor waar waarom wanneer want waren
wat weer wel welke werd wie wij wil wilt worden wordt zal zei zelf zich zij zijn zo zoals zonder zou zouden
""",
    "nordic": """
aldrig alla alle allt alltid andra andre att av bara bare blev bli bliver blir blitt både da dem den denna denne der
deras dess dessa det detta dette dig din dina disse ditt du där efter eftersom ein eller en er et ett fick fik från
før för genom gjorde gør gör göra ha hade han hans har hadde henne hennes här her hon honom hos hun hur hva hvad hvem
hver hvis hvor hvordan hvorfor ikke inga ingen inget inn inte jag jeg jo kan kommer kunde kunne lite litt man mange
med mellan mellem men mer mig min mina mindre mitt mot mycket många må måste när någon något några nu når og också
også om oss på samma sedan selv sig sin sina sine sitt själv ska skal skulle skulde som sådan så til till um under upp
ut uten utan vad var vara varför varit vart ved vem ville vil vilka vilken vore været være vår våra än även över mutta
että olen olla oli ovat myös niin kun kuin jos joka mitä minä sinä hän tämä tuo nyt vain vielä sitten koska
""",
    "pl": """
aby ale albo ani bardzo bez bardziej będzie będą był była było były być cały chce chyba ciebie co coś czy czyli dla
dlaczego dlatego dobrze gdy gdzie gdyż ich ile im inne jak jako jakie jaki jakaś jego jej jednak jest jestem jeszcze
jeśli już każdy kiedy kto która które którego której którzy który lub ma mają mam może można mnie moja moje mój mu
musi nad nam nas nasz naszych nawet nic nich nie niech niego niej nim niż obok od ono oraz ona oni one pan po pod
podczas ponieważ poza przed przede przez przy roku razem się sobie sposób swoje są ta tak taka taki takie także tam te
tego tej temu ten teraz też to tobie toto tu tutaj twoje twój ty tych tylko tym wam was wasz we wie więc wiele wszyscy
wszystkich wszystkie wszystko właśnie za zawsze ze żadna żaden że żeby
""",
    "ru": """
без более больше будем будет будете будешь будто будут будь была были было быть вам вами вас ваш ваша весь вдруг ведь
впрочем вот все всегда всего всей всем всеми всех всю всё где говорит даже два для его ему если есть еще ещё зачем
здесь или иногда именно имя как какая какие какой когда конечно которая которого которой которые который которых кто
куда лучше между меня мне много может можно мой моя мои мы над надо наконец нас наш наша наши него нее ней нельзя нет
неё ни нибудь никогда ним них ничего но ну об один однако она они оно опять от очень перед по под пока после потом
потому почему почти при про просто раз разве сам самый свой своего своей свои своих свою себе себя сегодня сейчас со
совсем так такая также такие такой там тебе тебя тем теперь то тогда того тоже только той тому тот тут ты уже хорошо
хоть хотя чего чей чем через что чтоб чтобы чтото чуть эта эти этим этих это этого этой этом этому этот эту
""",
    "uk": """
але або аби адже без була були було бути вам вас ваш весь вже від він вона вони воно все всі всіх всього дуже для його
йому коли кого котрий куди лише між мене мені мій моя мої навіть над нам нас наш наша наші неї них ніж ніколи нічого
під після поки потім про при саме себе свій свої своїх собі так така також такий такі там тебе тепер тим тих того тоді
той тому тут хоча хто цей це цього цьому ця ці через чи чому щоб що щось які яка який яких якщо їх їм її
""",
    "tr": """
acaba ama ancak artık bana bazı belki ben benden beni benim bile bir biri birkaç birşey biz bize bizim böyle bunu
bunun bunlar burada çok çünkü daha değil diye dolayı en fakat falan gibi göre hangi hem hep hepsi her herkes hiç için
ile ise işte kadar kendi kez kim kimse mı mi mu mü nasıl neden nerede nereye niçin niye olan olarak oldu olduğu olması
olsun onlar onlara onların onu onun orada oysa öyle sana sanki sadece seni senin siz sizin şey şimdi şöyle şu tüm var
vardı veya yani yine yok zaten
""",
    "id": """
ada adalah agar akan aku anda apa apakah atau bagi bahwa banyak baru beberapa begitu belum bisa buat bukan cuma dalam
dan dapat dari dengan dia di dong gak gue hanya harus ini itu iya jadi jangan jika juga kalau kalo kami kamu karena
kata kan kau kepada kita lagi lah lain lebih loh masih mau memang mereka nggak ngga nih nya oleh orang pada paling
para pernah punya saat saja saya sampai sangat sama sebagai sebuah sedang sekali selalu semua seperti serta siapa sih
sini situ suatu sudah supaya tapi telah tentang terus tetapi tidak udah untuk yaitu yakni yang
""",
    "vi": """
bạn bị cái các cũng của cho chỉ chưa có còn cùng đang đây đã đến để đi được gì hay không khi là lại làm lên mà mình
mọi một nào này nên nếu ngày người nhiều như những nhưng phải qua ra rất rồi sao sẽ sự tại thì theo tôi trên trong từ
và vào vẫn về vì với
""",
    "ar": """
إلى إن أن أنا أنت أنه أي أو أين ألا إذا إلا الا التي الذي الذين الى ان انا انت انه او اي اذا بعد بعض بين بهذا تحت تلك
ثم حتى حيث حين خلال دون ذلك سوف على علي عليه عليها عند عن غير فقط فوق في فيه فيها قبل قد كان كانت كل كما كيف لأن لان
لا لقد لكن لكم لم لماذا لما لن له لها لهم لو ليس ليست ما ماذا مثل مع من منذ منه منها مما نحن نفس هذا هذه هل هم هنا
هناك هو هي وقد وكان ولا ولم ولكن وما ومن وهو وهي يا يكون يوم
""",
    "fa": """
است این آن آنها ایشان اما باید بود بودن بوده برای بر بعد به با تا تو چرا چون چه حتی خود خیلی در دارد دارند داشت را روی
سپس شد شده شما شود کرد کردن کرده کردند کند کنند که کسی گفت ما مثل من می نیز نیست هر هستند هم همه همین وقتی ولی یا یک
""",
    "hi": """
अपना अपनी अपने अब अभी और आप इन इस इसका इसके इसी उन उनका उनकी उनके उस उसका उसकी उसके उसे एक ऐसा ऐसे कई कब कर करता करते
करना करने करें कि किया किस किसी की कुछ के को कोई कौन क्या क्यों गई गए गया जब जहां जा जाता जाती जाते जैसे जो तक तथा तब
तरह तुम तू तो था थी थे दिया दो नहीं ने पर पहले बहुत बाद भी मगर में मेरा मेरी मेरे मैं यदि यह यहां यही या ये रहा रही
रहे लिए लेकिन वह वहां वही वाला वाली वाले वे सकता सकते सब सभी साथ से हम हमारे हर ही हुआ हुई हुए है हैं हो होता होती
होते होने
""",
    "ko": """
가장 같은 같이 거의 것도 것은 것을 것이 그것 그게 그냥 그는 그런 그런데 그래서 그러나 그리고 근데 내가 너무 네가 누가
다른 다시 대한 더욱 때문 또는 또한 많은 많이 매우 모두 모든 무슨 바로 수가 아니 아주 아직 어떤 어떻게 언제 여기 역시
오늘 왜냐 우리 위해 이것 이게 이런 이미 이제 있는 있다 있습니다 있어 없는 없다 없이 에서 저는 저기 정도 정말 제가 좀더
지금 진짜 처럼 하고 하는 하다 하지만 한다 합니다 해서 했다
""",
    "zh": """
我们 你们 他们 她们 它们 一个 一些 一样 一下 这个 那个 这些 那些 这样 那样 这里 那里 没有 什么 怎么 为什 可以 可能
自己 因为 所以 但是 可是 就是 不是 还是 如果 已经 现在 知道 觉得 真的 的是 的人 了一 是一 有一 不会 不能 不要 只是
或者 而且 虽然 然后 我的 你的 他的 不知 時候 时候 我們 你們 他們 這個 那個 沒有 甚麼 什麼 怎麼 因為 還是 現在 覺得
這樣 這些
""",
    "ja": "今日 明日 昨日 自分 本当 一番 何か 今回 時間 最近 場合 以上 以下 可能 必要",
}

_TOPICS = """
ada ale ali allen ama andre bare ben bent bin biz car chez chi comment dan dem den dia dies dig din dir dong door dove
due ein eras era fin font han hat hay hoe inn kim lite mai mal man men met mia min mis mitt mon mot nun nyt pan pod
pour plus pro sea sean sedan sin solo son soy state sue tel ten theo ton tue vain yang
"""
"""Words on a list above that mean something in English, as a word or as a name."""

STOP_WORDS = frozenset(word for words in _LISTS.values() for word in words.split()) - frozenset(_TOPICS.split())
"""All stop words."""
